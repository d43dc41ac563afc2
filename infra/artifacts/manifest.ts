import { z } from 'zod';
import { ARTIFACT_KINDS } from '../../contracts/artifacts.ts';
import type { Artifact, ArtifactId, ArtifactManifest } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Json, JsonObject } from '../../contracts/json.ts';
import { canonicalJson } from './canonical-json.ts';
import { sha256Hex } from './sha256.ts';

const AnyJson = z.json() as z.ZodType<Json>;
const AnyObject = z.record(z.string(), AnyJson) as z.ZodType<JsonObject>;
const Manifest = z.strictObject({
  formatVersion: z.literal(1),
  codeVersion: z.string(),
  kind: z.enum(ARTIFACT_KINDS),
  inputs: z.record(z.string(), z.string()),
  config: AnyObject,
  seed: z.number().nullable(),
  summary: AnyObject,
  metrics: z.record(z.string(), AnyJson),
  files: z.record(z.string(), z.strictObject({ sha256: z.string(), sizeBytes: z.number() })),
});

/** Canonical text and the id that follows from it. */
export function encodeManifest(manifest: ArtifactManifest): { id: ArtifactId; text: string } {
  const text = canonicalJson(manifest);
  return { id: `${manifest.kind}-${sha256Hex(text).slice(0, 32)}`, text };
}

/** @throws LookalikeError `corruptArtifact` when the text is not what the id was made from */
export function decodeManifest(id: ArtifactId, text: Buffer, where: string): Artifact {
  const found = `${id.slice(0, id.lastIndexOf('-'))}-${sha256Hex(text).slice(0, 32)}`;
  if (found !== id) {
    throw new LookalikeError(
      'corruptArtifact',
      `Expected the manifest ${where} to hash to ${id}, found ${found}. Restore it from a copy, or delete it and make the artefact again.`,
      { file: where, expected: id, found },
    );
  }
  return { id, manifest: Manifest.parse(JSON.parse(text.toString('utf8'))) };
}
