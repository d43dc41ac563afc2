export const CROP_UNITS = ['relative', 'pixel'] as const;

/**
 * The part of a picture that a query is about, as the picture is seen (EXIF rotation applied), from its top left corner. `relative`: shares of its
 * width and height, 0..1; `pixel`: whole pixels.
 */
export interface CropBox {
  left: number;
  top: number;
  width: number;
  height: number;
  unit: (typeof CROP_UNITS)[number];
}

/** In whole pixels of a picture that was read. */
export type PixelBox = Omit<CropBox, 'unit'>;
