/** What the gateway under test is told, as a Worker's variables; the teacher's address depends on the host. */
export const VARIABLES = {
  AUDIENCE: "funmatch-teacher",
  TEACHER_SECRET: "shared-by-gateway-and-teacher",
  KEY_PEPPER: "mixed-into-every-stored-key",
  ADMIN_TOKEN: "lets-one-make-the-first-key",
};
