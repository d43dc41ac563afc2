import { LookalikeError } from '../../contracts/errors.ts';

/**
 * Reads the pickles of a PyTorch state dict and nothing else. A pickle is a program: Python's own reader calls whatever
 * function it names. This one knows two dozen data opcodes and asks its caller what a name means, so a hostile file can
 * only fail.
 */
export interface PickleHooks {
  /** The meaning of a global such as `torch._utils _rebuild_tensor_v2`; undefined refuses it. */
  resolveGlobal(name: string): Callable | undefined;
  /** The meaning of a persistent id (in PyTorch: a storage). */
  resolvePersistent(id: PickleValue): PickleValue;
}
/** What a global may be: a function of already read values, or a mere token that other values refer to. */
export interface Callable {
  name: string;
  call?: (args: PickleValue[]) => PickleValue;
}
export type PickleValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Callable
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | { opaque: unknown };

const MARK = Symbol('mark');
type StackEntry = PickleValue | typeof MARK;

/** Reads one pickle that starts at `offset`; `end` is the offset after it. @throws LookalikeError `invalidInput` */
export function readPickle(bytes: Uint8Array, offset: number, hooks: PickleHooks): { value: PickleValue; end: number } {
  const machine = new PickleMachine(bytes, offset, hooks);
  return { value: machine.run(), end: machine.position };
}

class PickleMachine {
  position: number;
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private readonly hooks: PickleHooks;
  private readonly stack: StackEntry[] = [];
  private readonly memo = new Map<number, PickleValue>();

  constructor(bytes: Uint8Array, offset: number, hooks: PickleHooks) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = offset;
    this.hooks = hooks;
  }

  run(): PickleValue {
    while (this.position < this.bytes.length) {
      const opcode = this.take(1)[0]!;
      if (opcode === 0x2e) return this.pop(); // STOP
      this.step(opcode);
    }
    throw refused('Expected the pickle to end with STOP, got the end of the file');
  }

  private step(opcode: number): void {
    const { stack } = this;
    switch (opcode) {
      case 0x80: // PROTO
        return this.expectProtocol(this.take(1)[0]!);
      case 0x28: // MARK
        return void stack.push(MARK);
      case 0x4e: // NONE
        return void stack.push(null);
      case 0x88: // NEWTRUE
      case 0x89: // NEWFALSE
        return void stack.push(opcode === 0x88);
      case 0x4b: // BININT1
        return void stack.push(this.take(1)[0]!);
      case 0x4d: // BININT2
        return void stack.push(this.view.getUint16(this.skip(2), true));
      case 0x4a: // BININT
        return void stack.push(this.view.getInt32(this.skip(4), true));
      case 0x8a: // LONG1
        return void stack.push(this.long(this.take(this.take(1)[0]!)));
      case 0x58: // BINUNICODE
        return void stack.push(this.text(this.take(this.view.getUint32(this.skip(4), true))));
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
        return void stack.push([]);
      case 0x7d: // EMPTY_DICT
        return void stack.push(new Map());
      case 0x85: // TUPLE1
        return void stack.push([this.pop()]);
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        return void stack.push(this.popMany(opcode === 0x86 ? 2 : 3));
      case 0x74: // TUPLE
        return void stack.push(this.popToMark());
      case 0x61: // APPEND
        return this.append([this.pop()]);
      case 0x65: // APPENDS
        return this.append(this.popToMark());
      case 0x73: // SETITEM
        return this.setItems(this.popMany(2));
      case 0x75: // SETITEMS
        return this.setItems(this.popToMark());
      case 0x71: // BINPUT
        return this.remember(this.take(1)[0]!);
      case 0x72: // LONG_BINPUT
        return this.remember(this.view.getUint32(this.skip(4), true));
      case 0x68: // BINGET
        return void stack.push(this.recall(this.take(1)[0]!));
      case 0x6a: // LONG_BINGET
        return void stack.push(this.recall(this.view.getUint32(this.skip(4), true)));
      case 0x63: // GLOBAL
        return void stack.push(this.global(`${this.line()} ${this.line()}`));
      case 0x52: // REDUCE
        return this.reduce();
      case 0x62: // BUILD: attributes of the dict (`_metadata`), which hold no weights
        return void this.pop();
      case 0x51: // BINPERSID
        return void stack.push(this.hooks.resolvePersistent(this.pop()));
      default:
        throw refused(`Expected only data opcodes, got 0x${opcode.toString(16)} at byte ${this.position - 1}`);
    }
  }

  private expectProtocol(protocol: number): void {
    if (protocol > 3) throw refused(`Expected pickle protocol 2 or 3, got ${protocol}`);
  }

  private global(name: string): Callable {
    const known = this.hooks.resolveGlobal(name);
    if (known === undefined) throw refused(`Expected only the names of a state dict, got "${name}"`);
    return known;
  }

  private reduce(): void {
    const args = this.pop();
    const callable = this.pop();
    const call = isCallable(callable) ? callable.call : undefined;
    if (!Array.isArray(args) || call === undefined) throw refused('Expected a known function and its arguments');
    this.stack.push(call(args));
  }

  private append(values: PickleValue[]): void {
    const list = this.stack.at(-1);
    if (!Array.isArray(list)) throw refused('Expected a list to append to');
    for (const value of values) list.push(value);
  }

  private setItems(pairs: PickleValue[]): void {
    const target = this.stack.at(-1);
    if (!(target instanceof Map) || pairs.length % 2 !== 0) throw refused('Expected key and value pairs for a dict');
    for (let i = 0; i < pairs.length; i += 2) target.set(pairs[i]!, pairs[i + 1]!);
  }

  private remember(key: number): void {
    const value = this.stack.at(-1);
    if (value === undefined || value === MARK) throw refused('Expected a value to remember, got none');
    this.memo.set(key, value);
  }

  private recall(key: number): PickleValue {
    const value = this.memo.get(key);
    if (value === undefined) throw refused(`Expected memo ${key} to be set, got nothing`);
    return value;
  }

  private pop(): PickleValue {
    const value = this.stack.pop();
    if (value === undefined || value === MARK) throw refused('Expected a value on the stack, got none');
    return value;
  }

  private popMany(count: number): PickleValue[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  private popToMark(): PickleValue[] {
    const at = this.stack.lastIndexOf(MARK);
    if (at < 0) throw refused('Expected a mark on the stack, got none');
    return this.stack.splice(at).slice(1) as PickleValue[];
  }

  private take(count: number): Uint8Array {
    const from = this.skip(count);
    return this.bytes.subarray(from, from + count);
  }

  private skip(count: number): number {
    const from = this.position;
    if (from + count > this.bytes.length) throw refused(`Expected ${count} more bytes at ${from}, got the file's end`);
    this.position += count;
    return from;
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.position);
    if (end < 0) throw refused('Expected a line, got the end of the file');
    return this.text(this.take(end + 1 - this.position)).trimEnd();
  }

  private text(bytes: Uint8Array): string {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
      throw refused('Expected text in UTF-8, got other bytes');
    }
  }

  private long(bytes: Uint8Array): bigint {
    // Little-endian two's complement.
    const unsigned = bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    return BigInt.asIntN(bytes.length * 8, unsigned);
  }
}

function isCallable(value: PickleValue): value is Callable {
  return typeof value === 'object' && value !== null && 'name' in value;
}

function refused(message: string): LookalikeError {
  return new LookalikeError('invalidInput', `The weights file is not a plain PyTorch state dict. ${message}.`);
}
