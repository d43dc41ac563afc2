import type { IndexKind, IndexSpec, IvfCodes } from '../../contracts/ann.ts';

/** One parameter that recall depends on, with its present value in the words of the user. */
type Knob = readonly [name: string, now: string | number];

interface Advice {
  /** Raising these finds more; the cheapest for searches first. */
  raise: readonly Knob[];
  /** Lowering these finds more. */
  lower?: readonly Knob[];
  /** What else finds more. */
  or?: string;
}

/** Of each kind: what its recall depends on. No advice: as it is, it finds all there is. */
const ADVICE: { readonly [K in IndexKind]: (spec: Extract<IndexSpec, { kind: K }>) => Advice | undefined } = {
  exact: ({ storage = 'float32', rescore }) =>
    storage === 'float32'
      ? undefined
      : { raise: [['rescore', rescore ?? `what suits ${storage}`]], or: 'use storage float32' },
  hnsw: ({ efSearch, efConstruction, m, storage = 'int8' }) => ({
    raise: [
      ['efSearch', efSearch],
      ['efConstruction', efConstruction],
      ['m', m],
    ],
    or: storage === 'int8' ? 'use storage float32 (now int8) or exact' : 'use exact',
  }),
  ivf: ({ nprobe, numLists, codes, rescore }) => ({
    raise: [
      ['nprobe', nprobe > 0 ? nprobe : '0, which stands for the root of numLists'],
      ...(codes.kind === 'flat' ? [] : [['rescore', rescore] as const]),
      ...codeKnobs(codes),
    ],
    lower: [['numLists', numLists > 0 ? numLists : '0, which stands for 4 times the root of the rows']],
    or: codes.kind === 'flat' ? 'use hnsw' : 'use codes flat or hnsw',
  }),
  kdTree: ({ trees, checks, leafSize }) =>
    checks === 0
      ? undefined
      : {
          raise: [
            ['checks', checks],
            ['trees', trees],
            ['leafSize', leafSize],
          ],
          or: 'use hnsw above some 30 dimensions',
        },
  lsh: ({ probes, tables, bits }) => ({
    raise: [
      ['probes', probes],
      ['tables', tables],
    ],
    lower: [['bits', bits]],
    or: 'use hnsw',
  }),
  deepHash: ({ rescore, bits, code, epochs }) => ({
    raise: [
      ['rescore', rescore],
      ...(bits < 256 ? [['bits', bits] as const] : []),
      ...(code === 'learned' ? [['epochs', epochs] as const] : []),
    ],
    or: code === 'hyperplane' ? 'use code learned (now hyperplane) or hnsw' : 'use hnsw',
  }),
};

/** What to change of an index that finds too few of the true neighbours: its parameters, and what they are now. */
export function recallAdvice<S extends IndexSpec>(spec: S): string {
  // One entry serves exactly the specs of its kind; the type system cannot follow an index by a union.
  const advice = (ADVICE[spec.kind] as (spec: IndexSpec) => Advice | undefined)(spec);
  if (advice === undefined) return `This ${spec.kind} index compares with all that could be nearer: ask for at most 1.`;
  const { raise, lower, or } = advice;
  const ways = [`raise ${listed(raise)}`, ...(lower === undefined ? [] : [`lower ${listed(lower)}`])];
  const sentence = `${[...ways, ...(or === undefined ? [] : [or])].join('; or ')}.`;
  return `${sentence[0]!.toUpperCase()}${sentence.slice(1)}`;
}

function codeKnobs(codes: IvfCodes): Knob[] {
  if (codes.kind !== 'pq') return [];
  const m = codes.m > 0 ? codes.m : '0, which stands for an eighth of the dimensions';
  return [['codes.m', m], ...(codes.bits < 8 ? [['codes.bits', codes.bits] as const] : [])];
}

function listed(knobs: readonly Knob[]): string {
  const words = knobs.map(([name, now]) => `${name} (now ${now})`);
  return words.length < 3 ? words.join(', then ') : `${words.slice(0, -1).join(', ')}, then ${words.at(-1)!}`;
}
