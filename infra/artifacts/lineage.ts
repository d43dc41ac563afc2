import type { Artifact, ArtifactKind, ArtifactStore } from '../../contracts/artifacts.ts';
import { isLookalikeError } from '../../contracts/errors.ts';
import type { Json, JsonObject } from '../../contracts/json.ts';

/** One artefact and what it was made from. */
export interface LineageNode {
  /** What it is to the one above. */
  role: string;
  id: string;
  /** `seen` stands for a branch that stands elsewhere in the tree, `gone` for one that garbage collection took. */
  state: 'artifact' | 'blob' | 'seen' | 'gone';
  /** Null where the artefact is not looked into. */
  made: {
    kind: ArtifactKind;
    config: JsonObject;
    seed: number | null;
    codeVersion: string;
    summary: JsonObject;
    /** Figures only: the whole metrics are in the manifest. */
    metrics: Record<string, Json>;
  } | null;
  inputs: LineageNode[];
}

/** The tree of what an artefact was made from, each artefact once. @throws LookalikeError `notFound` when it is not there itself */
export async function lineageOf(artifacts: Pick<ArtifactStore, 'get'>, id: string): Promise<LineageNode> {
  await artifacts.get(id);
  return branch(artifacts, 'artefact', id, new Set());
}

/** Like {@link lineageOf}, of several with their roles; those that are gone say so. */
export async function lineagesOf(
  artifacts: Pick<ArtifactStore, 'get'>,
  roots: readonly (readonly [role: string, id: string])[],
): Promise<LineageNode[]> {
  const seen = new Set<string>();
  const found: LineageNode[] = [];
  for (const [role, id] of roots) found.push(await branch(artifacts, role, id, seen));
  return found;
}

async function branch(
  artifacts: Pick<ArtifactStore, 'get'>,
  role: string,
  id: string,
  seen: Set<string>,
): Promise<LineageNode> {
  const leaf = (state: LineageNode['state']): LineageNode => ({ role, id, state, made: null, inputs: [] });
  if (id.startsWith('sha256:')) return leaf('blob');
  if (seen.has(id)) return leaf('seen');
  seen.add(id);
  let artifact: Artifact;
  try {
    artifact = await artifacts.get(id);
  } catch (error) {
    if (!isLookalikeError(error) || error.code !== 'notFound') throw error;
    return leaf('gone');
  }
  const { kind, config, seed, codeVersion, summary, metrics, inputs } = artifact.manifest;
  const made = { kind, config, seed, codeVersion, summary, metrics: figures(metrics) };
  const node: LineageNode = { role, id, state: 'artifact', made, inputs: [] };
  for (const [name, input] of Object.entries(inputs)) node.inputs.push(await branch(artifacts, name, input, seen));
  return node;
}

/** An object with more entries than this is a table, no figure. */
const MAX_ENTRIES = 12;

function figures(metrics: Record<string, Json>): Record<string, Json> {
  return Object.fromEntries(Object.entries(metrics).filter(([, value]) => isFigure(value)));
}

function isFigure(value: Json): boolean {
  if (value === null || Array.isArray(value)) return false;
  if (typeof value !== 'object') return true;
  const entries = Object.values(value);
  return entries.length <= MAX_ENTRIES && entries.every((entry) => typeof entry === 'number');
}
