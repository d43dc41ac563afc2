import { LookalikeError } from '../../contracts/errors.ts';
import { listRecipes, resolveRetrainConfig } from '../../infra/recipes/resolve.ts';
import type { Recipes } from './temporal-retrainer.ts';

/** The recipes as requests choose them: overrides come in the body, and a file of this machine can never be named. */
export const recipes: Recipes = {
  resolve({ recipe, config, set }) {
    const resolved = resolveRetrainConfig({ recipe, file: config, set });
    // Workers open it with the server's rights, so a key for writing would otherwise be one for the server's files.
    if (resolved.backbone.startsWith('file:')) {
      throw new LookalikeError(
        'invalidInput',
        'Expected backbone to be efficientnet-lite0 or the id of a model artefact, got a file. ' +
          'Files are for the command line only: run `lookalike retrain --set backbone=file:…` on the server.',
      );
    }
    return resolved;
  },
  list: listRecipes,
};
