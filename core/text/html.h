/* html.h - character references (&amp; &#233;) in texts, replaced as Python does it. */
#ifndef CORE_TEXT_HTML_H
#define CORE_TEXT_HTML_H

#include "core/base/bytes.h"

/* Both append the valid UTF-8 `text` with its references replaced. */

/* html.unescape() of Python: also references without a semicolon, and the longest name
 * that begins a longer word (&notit; becomes the sign "not" and "it;"). */
enum status html_unescape(struct buffer *out, struct bytes text, struct error *err);
/* unescape_html() of ftfy: only references closed by a semicolon, known as a whole, in
 * HTML's case or in capitals. */
enum status html_unescape_closed(struct buffer *out, struct bytes text, struct error *err);

#endif
