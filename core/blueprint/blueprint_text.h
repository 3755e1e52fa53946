/* blueprint_text.h - draws the text tower. */
#ifndef CORE_BLUEPRINT_BLUEPRINT_TEXT_H
#define CORE_BLUEPRINT_BLUEPRINT_TEXT_H

#include "core/blueprint/draft.h"

enum status blueprint_text_draw(struct draft *draft, struct blueprint *out, struct error *err);

#endif
