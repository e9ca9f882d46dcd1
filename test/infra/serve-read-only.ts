export async function serveAll(_folder: string, _stage: unknown): Promise<void> {}
