/** Why a mutant that nothing catches is not caught: what the machine lacks, or that it is no bug here. */

export const SURVIVORS: Readonly<Record<string, string>> = {};
