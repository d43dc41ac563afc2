/** A shard's whole state is its largest frame: values and two moments. */
export const STATE_BYTES_PER_VALUE = 12;
/** What a frame without numbers may take: statistics, errors. */
export const MAX_TEXT_BYTES = 1 << 20;

/** Of both ends. */
export const TCP_OPTIONS = {
  /** What is unsent when a socket is closed is not wanted any more. */
  linger: 0,
  handshakeInterval: 5_000,
  /** A peer that vanished without a word is forgotten after this; it may be busy with one large message for as long. */
  heartbeatInterval: 2_000,
  heartbeatTimeout: 15_000,
} as const;
