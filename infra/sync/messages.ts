interface Receiver {
  readonly closed: boolean;
  receive(): Promise<Buffer[]>;
}

/**
 * What comes, until the socket is closed. A socket may call itself readable and then hold no message: that is no reason to stop
 * listening, as its own iterator does.
 */
export async function* messagesOf(socket: Receiver): AsyncGenerator<Buffer[], void, undefined> {
  while (!socket.closed) {
    let message: Buffer[];
    try {
      message = await socket.receive();
    } catch (error) {
      // Closing ends a pending receive with the same code.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' && !socket.closed) throw error;
      continue;
    }
    yield message;
  }
}
