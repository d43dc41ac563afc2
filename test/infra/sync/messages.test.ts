import { expect, it } from 'vitest';
import { messagesOf } from '../../../infra/sync/messages.ts';

it('listens on past a socket that was readable for nothing, until it is closed', async () => {
  const errors = (code: string): Error => Object.assign(new Error(code), { code });
  const script = [[Buffer.from('a')], errors('EAGAIN'), [Buffer.from('b')], errors('EAGAIN')];
  const socket = {
    closed: false,
    async receive(): Promise<Buffer[]> {
      const next = script.shift()!;
      socket.closed = script.length === 0;
      if (next instanceof Error) throw next;
      return next;
    },
  };
  const heard: string[] = [];
  for await (const [text] of messagesOf(socket)) heard.push(text!.toString());
  expect(heard).toEqual(['a', 'b']);
});

it('does not hide another failure', async () => {
  const socket = { closed: false, receive: () => Promise.reject(Object.assign(new Error(), { code: 'ENOTSOCK' })) };
  await expect(messagesOf(socket).next()).rejects.toMatchObject({ code: 'ENOTSOCK' });
});
