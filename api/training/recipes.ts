import { listRecipes, resolveRetrainConfig } from '../../infra/recipes/resolve.ts';
import type { Recipes } from './temporal-retrainer.ts';

/** The recipes as requests choose them: overrides come in the body, and a file of this machine can never be named. */
export const recipes: Recipes = {
  resolve: ({ recipe, config, set }) => resolveRetrainConfig({ recipe, file: config, set }),
  list: listRecipes,
};
