import type { CropBox } from '../../contracts/crop.ts';
import { CROP_UNITS } from '../../contracts/crop.ts';
import { LookalikeError } from '../../contracts/errors.ts';

/** A crop as the embed hosts are asked for it. */
export function writeCrop({ left, top, width, height, unit }: CropBox): string {
  return [left, top, width, height, unit].join(',');
}

/** @throws LookalikeError `invalidInput` */
export function readCrop(text: string | null): CropBox | undefined {
  if (text === null) return undefined;
  const [, ...parts] = /^([^,]+),([^,]+),([^,]+),([^,]+),(\w+)$/.exec(text) ?? [];
  const [left, top, width, height] = parts.slice(0, 4).map(Number);
  const unit = CROP_UNITS.find((known) => known === parts[4]);
  const isNumber = [left, top, width, height].every((value) => Number.isFinite(value));
  if (unit === undefined || !isNumber) {
    throw new LookalikeError('invalidInput', `Expected crop=left,top,width,height,unit, got "${text.slice(0, 80)}".`);
  }
  return { left: left!, top: top!, width: width!, height: height!, unit };
}
