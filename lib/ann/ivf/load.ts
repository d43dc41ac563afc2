import type { IvfSpec } from '../../../contracts/ann.ts';
import type { Vectors } from '../vectors.ts';
import { expectedBytes } from './expected-bytes.ts';
import { checkOffsets, codesKindOf, corrupt, PARTS, placeDescriptor, placePart } from './parts.ts';
import type { Layout, Part, PartName, PlacedIvf } from './parts.ts';

/** Places the sections where the kernels work, each of exactly the length it must have. @throws LookalikeError `corruptArtifact` */
export function loadIvf(spec: IvfSpec, vectors: Vectors, section: (name: string) => Uint8Array): PlacedIvf {
  const m = spec.codes.kind === 'pq' ? spec.codes.m : 0;
  const empty = { vectors, kernelMetric: spec.metric === 'l2' ? 1 : 0, codesKind: codesKindOf(spec.codes), m };
  if (vectors.size === 0) return placed({ ...empty, numLists: 0, parts: {} });
  const bytes = section('offsets');
  const offsets = new Int32Array(new Uint8Array(bytes).buffer, 0, bytes.length >> 2);
  checkOffsets(offsets, vectors.size);
  const expected = expectedBytes(spec, vectors, offsets);
  const parts: Partial<Record<PartName, Part>> = {};
  for (const name of PARTS) {
    const length = expected[name];
    if (length === undefined) continue;
    const content = section(name);
    if (content.length !== length) throw corrupt(`${length} bytes of ${name}, got ${content.length}`);
    parts[name] = placePart(vectors.kernels, content);
  }
  return placed({ ...empty, numLists: offsets.length - 1, parts });
}

const placed = (layout: Layout): PlacedIvf => ({ layout, descriptor: placeDescriptor(layout) });
