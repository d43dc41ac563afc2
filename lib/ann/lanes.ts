/**
 * Hands out the numbers 0..count-1 in order, `size` at a time, to as many lanes as there are rooms: each takes the next piece when it has
 * ended its last. What a lane has begun reads and writes memory that the caller frees, so it is over only when all have ended.
 * @throws what the first lane that failed threw
 */
export async function inLanes<Room>(
  rooms: readonly Room[],
  { count, size }: { count: number; size: number },
  work: (room: Room, from: number, to: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const follow = async (room: Room): Promise<void> => {
    while (next < count) {
      const from = next;
      next = Math.min(count, from + size);
      await work(room, from, next);
    }
  };
  for (const lane of await Promise.allSettled(rooms.map(follow))) {
    if (lane.status === 'rejected') throw lane.reason;
  }
}
