/*
 * Clauses of condition expressions that several kinds of item share. Every clause has a name, and an expression joins
 * names: so a condition reads as a sentence, and a test can drop each clause alone.
 */

/** The item is not in the table. */
export const itemIsAbsent = 'attribute_not_exists(PK)';

/** The item is in the table. */
export const itemExists = 'attribute_exists(PK)';

/** The version of a versioned item is the one that was read. The expression needs `#version` and `:version`. */
export const versionUnchanged = '#version = :version';
