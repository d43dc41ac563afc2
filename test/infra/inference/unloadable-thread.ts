/** A thread whose runtime is broken: it ends before it can answer anything. */
throw new Error('The runtime does not start.');
