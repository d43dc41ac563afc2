import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import { PRECISIONS } from '../../contracts/model.ts';
import { PreprocessingSchema } from '../../infra/models/model-summary.ts';

export class DeviceModelDto extends createZodDto(
  z.object({
    model: z.string().describe('The model artefact that serves; say it with a `vector` that a file of it made.'),
    dim: z.number(),
    preprocessing: PreprocessingSchema.describe('How a picture becomes `image` [1, 3, size, size].'),
    files: z.array(
      z.object({
        precision: z.enum(PRECISIONS),
        artifact: z.string(),
        sha256: z.string(),
        sizeBytes: z.number(),
        mayQuery: z.boolean().describe('Whether queries by it find nearly what those by the model find.'),
        url: z.string().describe('Path on this server; its bytes never change.'),
      }),
    ),
  }),
) {}
