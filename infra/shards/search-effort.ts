import { z } from 'zod';
import { SEARCH_EFFORTS } from '../../contracts/ann.ts';
import type { SearchEffort } from '../../contracts/ann.ts';

type Name = keyof SearchEffort;

/** What each parameter of a search's effort does, for those who ask from outside. */
export const EFFORT_MEANINGS: Readonly<Record<Name, string>> = {
  efSearch: 'hnsw: candidates kept on the way through the graph',
  nprobe: 'ivf: lists that are read',
  probes: 'lsh: buckets that are read, in all tables together',
  checks: 'kdTree: rows that a forest looks at',
  rescore: 'indices that hold codes: times k candidates are compared again in full precision; 0 lets the codes decide',
};

export const EFFORT_NAMES = Object.keys(SEARCH_EFFORTS) as Name[];

const describe = (name: Name): string => `${EFFORT_MEANINGS[name]}. Other kinds of index ignore it.`;

const field = (name: Name): z.ZodOptional<z.ZodInt> => {
  const [min, max] = SEARCH_EFFORTS[name];
  return z.int().min(min).max(max).optional().describe(describe(name));
};

const textField = (name: Name): z.ZodOptional<z.ZodCoercedNumber> => {
  const [min, max] = SEARCH_EFFORTS[name];
  return z.coerce.number().int().min(min).max(max).optional().describe(describe(name));
};

/** The parameters as fields of a request, each of which may be left out. */
export const EFFORT_FIELDS = {
  efSearch: field('efSearch'),
  nprobe: field('nprobe'),
  probes: field('probes'),
  checks: field('checks'),
  rescore: field('rescore'),
} satisfies Record<Name, z.ZodType>;

/** The same of a query string, where a number is text. */
export const EFFORT_QUERY_FIELDS = {
  efSearch: textField('efSearch'),
  nprobe: textField('nprobe'),
  probes: textField('probes'),
  checks: textField('checks'),
  rescore: textField('rescore'),
} satisfies Record<Name, z.ZodType>;

/** The effort that is said, and nothing else of what it is said in. */
export function effortOf(options: SearchEffort): SearchEffort {
  const said = EFFORT_NAMES.filter((name) => options[name] !== undefined);
  return Object.fromEntries(said.map((name) => [name, options[name]]));
}
