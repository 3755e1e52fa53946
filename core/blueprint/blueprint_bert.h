/* blueprint_bert.h - draws the text tower that is one of transformers' encoders: BERT or
 * RoBERTa (XLM-RoBERTa is one). */
#ifndef CORE_BLUEPRINT_BLUEPRINT_BERT_H
#define CORE_BLUEPRINT_BLUEPRINT_BERT_H

#include "core/blueprint/draft.h"

enum status blueprint_bert_draw(struct draft *draft, struct blueprint *out, struct error *err);

#endif
