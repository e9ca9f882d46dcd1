/**
 * Sets how many threads one TensorFlow operation is spread over. TensorFlow reads it from the environment when its
 * first thread loads it, and all its sessions of a process share these threads: student and a teacher in the same
 * process together use no more.
 */
export function budgetThreads({ threads }: { threads?: number }): void {
  if (threads !== undefined) process.env.TF_NUM_INTRAOP_THREADS = String(threads);
}
