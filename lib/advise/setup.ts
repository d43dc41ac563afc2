import type { DataParallelConfig } from '../../contracts/training.ts';

/** What one replica's step costs where it runs. Measured, not guessed: `lookalike bench train` prints these. */
export interface Workload {
  /** Parameters of the model, float32 each. */
  numParameters: number;
  /** Seconds that one replica computes on its slice, forward and backward, when nothing disturbs it. */
  computeSeconds: number;
}

/** How computing times differ between replicas and steps. */
export interface Stragglers {
  /** Coefficient of variation of a step's time (log-normal), drawn anew each step. */
  variation: number;
  /** Share of steps that are hit by a slow moment (a busy neighbour, a garbage collection), and by what factor. */
  slowShare: number;
  slowFactor: number;
}

/** Machines, one replica each, and the shards on machines of their own, all behind one switch that is never the bottleneck. */
export interface Cluster {
  replicas: number;
  /** Bits per second in each direction of each machine. */
  bitsPerSecond: number;
  /** Seconds on the way, besides the time that the bytes take. */
  messageSeconds: number;
  /** Seconds of processor time that one message costs at each end, whatever its size: many small shards are not free. */
  frameSeconds: number;
  /** Seconds of processor time that one byte costs at each end: encryption, checksums, copies. On one host they outweigh the wire. */
  byteSeconds: number;
  /** Bytes of float32 parameters a shard updates per second (it reads the gradient, and reads and writes values and moments). */
  updateBytesPerSecond: number;
  /** Seconds per parameter to compress and to restore a gradient; of the compression that is used. */
  codecSecondsPerParameter: number;
  stragglers: Stragglers;
}

/** One question to the simulator. */
export interface Scenario {
  workload: Workload;
  cluster: Cluster;
  strategy: Pick<DataParallelConfig, 'exchange' | 'mode' | 'compression'>;
  /** Steps to simulate; the first tenth is not counted. */
  numSteps: number;
  seed: number;
}

export interface Prediction {
  /** Slices computed per second over all replicas that counted (dropped ones do not). */
  slicesPerSecond: number;
  /** `slicesPerSecond` over what as many undisturbed replicas without any communication would compute. */
  efficiency: number;
  /** Share of a replica's time in which it neither computes nor compresses. */
  waitShare: number;
  /** Bytes sent and received by one replica in a step. */
  bytesPerStep: number;
  /** Mean steps between the parameters a gradient was computed from and those it was applied to. */
  meanStaleness: number;
  droppedShare: number;
}
