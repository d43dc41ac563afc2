/** A form as the bytes a browser would send. */
export async function encodeForm(
  fields: Record<string, string | Uint8Array | (string | Uint8Array)[]>,
): Promise<{ payload: Buffer; headers: { 'content-type': string } }> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (typeof one === 'string') form.append(name, one);
      else form.append(name, new Blob([new Uint8Array(one)], { type: 'image/png' }), 'photo.png');
    }
  }
  const request = new Request('http://localhost/', { method: 'POST', body: form });
  const type = request.headers.get('content-type')!;
  return { payload: Buffer.from(await request.arrayBuffer()), headers: { 'content-type': type } };
}
