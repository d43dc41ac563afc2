import { defineSearchAttributeKey } from '@temporalio/common';
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import { PART_PLACED } from '../contracts/data-parallel.ts';
import type { PlacedPart } from '../contracts/data-parallel.ts';
import { SEARCH_ATTRIBUTES } from '../contracts/search-attributes.ts';
import { TUNE_STATE } from '../contracts/tuning.ts';
import type { TuneView } from '../contracts/tuning.ts';
import { PROGRESS, REPLICA_CHANGED, SERVING_STATE, SWITCH_GENERATION } from '../contracts/workflows.ts';
import type {
  ReplicaState,
  RetrainProgress,
  ServingState,
  ServingTarget,
  SwitchGenerationOutput,
} from '../contracts/workflows.ts';

export const progressQuery = defineQuery<RetrainProgress>(PROGRESS);
export const tuneStateQuery = defineQuery<TuneView>(TUNE_STATE);
export const servingStateQuery = defineQuery<ServingState>(SERVING_STATE);
export const switchGenerationUpdate = defineUpdate<SwitchGenerationOutput, [ServingTarget]>(SWITCH_GENERATION);
export const replicaChangedSignal = defineSignal<[ReplicaState]>(REPLICA_CHANGED);
export const partPlacedSignal = defineSignal<[PlacedPart]>(PART_PLACED);

export const kindKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.kind, 'KEYWORD');
export const catalogueKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.catalogue, 'KEYWORD');
export const modelKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.model, 'KEYWORD');
export const generationKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.generation, 'KEYWORD');
export const statusKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.status, 'KEYWORD');
