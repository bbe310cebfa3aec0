/*
 * doc_text: what the scalars of YAML stand for, read from their source (YAML 1.2.2 sections 7.3 and 8.1).
 * libfyaml finds where a scalar begins and ends, but the text that it makes of it is wrong in places,
 * and then also of the wrong length (0.7.12: two '' side by side; \\ in front of an escaped line end;
 * blank lines in folded blocks).
 * Owns:   nothing; the text is made in the arena. Line ends become \n.
 * Thread: any; pure.
 */
#ifndef POLICY_DOC_TEXT_H
#define POLICY_DOC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"

/* `source`: without the quotes. */
struct str doc_text_single_quoted(struct arena *a, struct str source);
struct str doc_text_plain(struct arena *a, struct str source);
/* False when an escape is none, or stands for no character. */
bool doc_text_double_quoted(struct arena *a, struct str source, struct str *out);

enum doc_chomp { DOC_CHOMP_CLIP, DOC_CHOMP_STRIP, DOC_CHOMP_KEEP };

struct doc_block {
    bool folded;          /* ">", else "|" */
    enum doc_chomp chomp; /* "-" or "+" */
    size_t indent;        /* spaces that lines begin with; 0: those of the first line with text */
};

/*
 * Reads the header of a block scalar, "|2-", at the first `|` or `>` of *source that stands in no
 * comment, and leaves *source behind its line. `parent`: by how many spaces what it stands in is
 * indented.
 */
struct doc_block doc_block_read(struct str *source, size_t parent);
/* `source`: the lines below the header. */
struct str doc_text_block(struct arena *a, const struct doc_block *block, struct str source);

#endif
