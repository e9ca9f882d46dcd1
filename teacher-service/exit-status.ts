/** What the process's exit status tells; what is not here (128 + a signal's number) is a crash of native code. */
export const EXIT = {
  /** SIGTERM or SIGINT came, and everything was answered. */
  drained: 0,
  /** A fault of the program, with its stack on stderr. */
  fault: 1,
  /** A mistake in the config, or no model could be loaded. */
  config: 2,
  /** SIGTERM came, and `drainSeconds` later some answers had to be cut off. */
  cutOff: 3,
  /** Models answered once, and now every one of them has failed for good. */
  failed: 4,
} as const;
