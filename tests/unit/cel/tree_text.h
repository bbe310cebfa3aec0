/*
 * tree_text: an expression's tree as text, for tests that compare trees.
 *     literals        true 1 1u 1.5d "a<0A>b" b"<FF>"
 *     names           x .x (rooted)
 *     selections      (. operand field) (.? operand field) (has operand field) (has operand [index])
 *     calls           (f a b) (.f a b) (rooted) (~f receiver a b) (_+_ a b)
 *     && || ?:        (&& a b c) (|| a b c) (? condition a b)
 *     lists, maps     [a ?b] {k:v ?k:v}
 *     macros          (@map range x y ?filter body) (@block [items] body)
 */
#ifndef TESTS_UNIT_CEL_TREE_TEXT_H
#define TESTS_UNIT_CEL_TREE_TEXT_H

#include "base/buf.h"

struct cel_node;

/* Appends the text of the tree below a node. */
void tree_text(struct buf *out, const struct cel_node *n);

#endif
