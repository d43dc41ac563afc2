export type KernelRequest =
  | { kind: 'call'; memoryId: number; memory: object; name: string; args: readonly number[] }
  | { kind: 'forget'; memoryId: number };
export type KernelReply = { result: number } | { error: string };
