import type { TuneConfig } from '../../contracts/tuning.ts';

/** Parts of a configuration that decide a trained head. What else there is comes after training, so no trial differs by it. */
const TUNABLE = /^(train\..+|backbone|views)$/;

/** Why a path within `train` is none of a search's. */
const REFUSED: readonly (readonly [RegExp, string])[] = [
  [
    /^train\.(strategy|dataParallel|modelParallel)(\.|$)/,
    'a trial is trained by one process; trials are what runs in parallel',
  ],
  [/^train\.checkpointEverySteps$/, 'it does not change what is learnt'],
];

/** What a search may not vary, with the reason, and why its base cannot be tuned. */
export function pathProblems({ base, space }: TuneConfig): string[] {
  const problems = Object.keys(space).flatMap((path) => {
    if (!TUNABLE.test(path))
      return [`${path}: expected a part of the training (train.…, views or backbone), as no other is tuned.`];
    const refused = REFUSED.find(([pattern]) => pattern.test(path));
    if (refused !== undefined) return [`${path}: cannot be tuned; ${refused[1]}.`];
    return [];
  });
  if (base.train.strategy !== 'single') {
    problems.push(
      `train.strategy: expected single, got ${base.train.strategy}: a trial is trained by one process; trials are what runs in parallel.`,
    );
  }
  if (base.finetune !== undefined) {
    problems.push(
      'finetune: expected none: fine-tune first, then name the new backbone (a model artefact) as the backbone.',
    );
  }
  return problems;
}
