import { type Network, type NetworkConfig, networkOf, type Weights } from "@funmatch/models";
import { type OwnModel, openOwnNetwork } from "./own-network.ts";

/** Which network a student is, as plain data. */
export type StudentModel = NetworkConfig | OwnModel;

/** A student's network, of whatever kind. */
export interface StudentNetwork {
  /** Fresh parameters and running statistics from standard normal numbers by name. */
  init(normal: (name: string, count: number) => Float32Array): Weights;
  apply: Network;
  /** An error of capturing `apply`, in the words of whoever wrote it. */
  explain(error: unknown): unknown;
}

/** @throws UserError when it is a user's own and cannot be loaded */
export async function openNetwork(model: StudentModel): Promise<StudentNetwork> {
  if (model.kind === "module") return openOwnNetwork(model);
  const { init, apply } = networkOf(model);
  return { init, apply: apply(), explain: (error) => error };
}
