import { defineSearchAttributeKey } from '@temporalio/common';
import type { SearchAttributePair } from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from '../../contracts/search-attributes.ts';

/** The search attributes that a run carries from its start. */
export function startAttributes(kind: string, catalogue: string): SearchAttributePair[] {
  return [
    { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.kind, 'KEYWORD'), value: kind },
    { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.catalogue, 'KEYWORD'), value: catalogue },
    { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.status, 'KEYWORD'), value: 'running' },
  ];
}
