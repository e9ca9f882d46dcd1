import { type Probe, sameBits } from "@funmatch/models";

/**
 * Chooses the batch sizes that give every image the same logits, bit for bit, wherever it stands: the largest
 * set of steady sizes that agree with each other. So it does not matter which requests a pass merges.
 *
 * @returns all sizes and `bitStable: false` when no size is steady
 * @example admitted([probe1, probe8, probe64]) // { probes: [probe8, probe64], bitStable: true }
 */
export function admitted(probes: readonly Probe[]): { probes: Probe[]; bitStable: boolean } {
  const agreeing: Probe[][] = [];
  for (const probe of probes.filter((each) => each.steady)) {
    const peers = agreeing.find((set) => sameBits(set[0]!.logits, probe.logits));
    if (peers) peers.push(probe);
    else agreeing.push([probe]);
  }
  // Of sets of one length the one that holds the largest batch has the better throughput.
  const largest = (set: Probe[]) => Math.max(...set.map((probe) => probe.images));
  const best = agreeing.sort((a, b) => b.length - a.length || largest(b) - largest(a))[0];
  return best ? { probes: best, bitStable: true } : { probes: [...probes], bitStable: false };
}
