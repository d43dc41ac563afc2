import { z } from 'zod';
import type { Artifact } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { PRECISIONS } from '../../contracts/model.ts';
import type { ModelSummary } from '../../contracts/model.ts';

const Channels = z.tuple([z.number(), z.number(), z.number()]);

/** How a picture becomes a model's input; the JSON that stands beside a user's own ONNX file. */
export const PreprocessingSchema = z
  .strictObject({
    resizeShorterSide: z.int().min(8).max(4096),
    size: z.int().min(8).max(4096),
    mean: Channels,
    std: z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]),
    background: Channels,
  })
  .refine((p) => p.size <= p.resizeShorterSide, 'size must not be larger than resizeShorterSide');

const Summary = z.object({
  stage: z.enum(['backbone', 'embedding']),
  name: z.string(),
  dim: z.int().positive(),
  featureDim: z.int().positive(),
  preprocessing: PreprocessingSchema,
  backbone: z.string().nullable(),
  precision: z.enum(PRECISIONS).optional(),
});

/** The summary of a model artefact. @throws LookalikeError `invalidInput` for another kind | `corruptArtifact` */
export function modelSummaryOf(artifact: Artifact): ModelSummary {
  if (artifact.manifest.kind !== 'model') {
    throw new LookalikeError('invalidInput', `Expected a model, got ${artifact.id}, a ${artifact.manifest.kind}.`);
  }
  const parsed = Summary.safeParse(artifact.manifest.summary);
  if (!parsed.success) {
    throw new LookalikeError(
      'corruptArtifact',
      `Expected ${artifact.id} to describe a model: ${z.prettifyError(parsed.error)}`,
    );
  }
  return parsed.data;
}
