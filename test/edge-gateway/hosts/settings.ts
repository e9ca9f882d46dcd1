/** What a variable may hold that is no text. */
type Json = string | Json[] | { [name: string]: Json };

/** What the gateway under test is told, as a Worker's variables; addresses depend on the host. */
export const VARIABLES = {
  AUDIENCE: "funmatch-teacher",
  TEACHER_SECRET: "shared-by-gateway-and-teacher",
  KEY_PEPPER: "mixed-into-every-stored-key",
  ADMIN_TOKEN: "lets-one-make-the-first-key",
};

/** Whose tokens it takes. */
export const oidc = (issuer: string): Json => [
  {
    issuer,
    audience: "funmatch",
    grants: [
      {
        claims: { repository: "vision/distil", ref: ["refs/heads/main", "refs/tags/v*"] },
        team: "ci-vision",
        scopes: ["train", "eval"],
        models: ["prof"],
      },
      { claims: { repository: "vision/distil" }, team: "ci-vision", scopes: ["eval"] },
    ],
  },
];
