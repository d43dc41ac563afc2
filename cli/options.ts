import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { errorMessage } from '../contracts/errors.ts';
import { checkCatalogue } from '../infra/registry/text.ts';

/** A whole number of at least `min` and at most `max`, for commander. */
export const wholeNumber =
  (min: number, max = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max) {
      const limit = max === Number.MAX_SAFE_INTEGER ? '' : ` and at most ${max}`;
      throw new InvalidArgumentError(`Expected a whole number of at least ${min}${limit}, got "${text}".`);
    }
    return value;
  };

/** Comma-separated whole numbers, ascending, each once. */
export function wholeNumbers(text: string): number[] {
  const values = text.split(',').map(wholeNumber(1));
  return [...new Set(values)].sort((a, b) => a - b);
}

/** A number of at least `min` and at most `max`, for commander. */
export const amount =
  (min: number, max = Number.MAX_VALUE) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() !== '' && value >= min && value <= max) return value;
    const limit = max === Number.MAX_VALUE ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`Expected a number ${limit}, got "${text}".`);
  };

/** Comma-separated numbers of at least `min`. */
export const amounts =
  (min: number) =>
  (text: string): number[] =>
    text.split(',').map(amount(min));

/** An option that may be given several times. */
export const collect = (text: string, before: string[] = []): string[] => [...before, text];

/** A catalogue's name, for commander. */
export function catalogueName(text: string): string {
  try {
    checkCatalogue(text);
  } catch (error) {
    throw new InvalidArgumentError(errorMessage(error));
  }
  return text;
}

export const CATALOGUE_OPTION = ['--catalogue <name>', 'which catalogue', catalogueName, 'default'] as const;

/** Which API is asked, and as whom; read by `apiTarget`. */
export function withApiOptions(command: Command): Command {
  return command
    .option('--url <url>', 'address of the API (default: the running stack)')
    .option('--key <key>', 'API key (default: LOOKALIKE_API_KEY)');
}
