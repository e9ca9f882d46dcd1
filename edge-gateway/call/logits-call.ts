import type { Deadline } from "../deadline.ts";
import type { Incoming } from "./body.ts";

/** A logits call whose head was read and which its key allows. */
export interface LogitsCall {
  model: string;
  /** The call's path, which is the teacher's too. */
  path: string;
  /** The teacher version that the client insists on. */
  pin: string | undefined;
  deadline: Deadline;
  incoming: Incoming;
}
