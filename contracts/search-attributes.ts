/** Registered when the stack starts; all of type Keyword. What a person filters runs by in the Temporal UI. */
export const SEARCH_ATTRIBUTES = {
  kind: 'LookalikeKind',
  catalogue: 'LookalikeCatalogue',
  model: 'LookalikeModel',
  generation: 'LookalikeGeneration',
  status: 'LookalikeStatus',
} as const;
