export { explain } from "./explain.ts";
export { readConfig } from "./read.ts";
export { resolvePath, secret } from "./scalars.ts";
export { UserError } from "./user-error.ts";
