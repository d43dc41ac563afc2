/** Where an item's picture is served. The version changes with the picture, so that the answer may be kept for ever. */
export function imagePath(catalogue: string, item: { id: string; image: string }): string {
  const path = `/v1/catalogues/${encodeURIComponent(catalogue)}/items/${encodeURIComponent(item.id)}/image`;
  return `${path}?v=${imageVersion(item.image)}`;
}

export function imageVersion(sha256: string): string {
  return sha256.slice(0, 16);
}
