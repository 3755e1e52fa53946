/* A new key is one row here, a row in README.md and docs/clipd.1, and a line in
 * clipd.example.yaml; test_schema.c says which of them is missing. */
#include "config/schema.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#define FIELD(member)                                                                              \
    .offset = offsetof(struct config, member), .width = sizeof(((struct config *)0)->member)
#define MODEL_FIELD(member)                                                                        \
    .offset = offsetof(struct config_model, member),                                               \
    .width = sizeof(((struct config_model *)0)->member)
#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

const struct schema_key schema_keys[] = {
    {.name = "server.listen",
     .kind = SCHEMA_LISTEN,
     FIELD(server),
     .meaning = "address and port; `:8080` is every IPv4 address, `[::]:8080` every address, port "
                "0 a free port"},
    {.name = "server.connections_max",
     .kind = SCHEMA_COUNT,
     FIELD(server.connections_max),
     .min = 1,
     .max = 1000000,
     .meaning = "open connections; more wait"},
    {.name = "server.requests_max",
     .kind = SCHEMA_COUNT,
     FIELD(server.requests_max),
     .min = 1,
     .max = 65536,
     .meaning = "requests being handled at once; more get 503"},
    {.name = "server.io_threads",
     .kind = SCHEMA_COUNT,
     FIELD(server.io_threads),
     .min = 1,
     .max = 256,
     .meaning = "threads that read and write sockets"},
    {.name = "server.idle_timeout",
     .kind = SCHEMA_SECONDS,
     FIELD(server.idle_timeout_s),
     .min = 1,
     .max = 86400,
     .meaning = "a connection without traffic is closed after this"},
    {.name = "server.request_timeout",
     .kind = SCHEMA_SECONDS,
     FIELD(server.request_timeout_s),
     .min = 1,
     .max = 86400,
     .meaning = "a request must have arrived whole this long after its first byte"},
    {.name = "server.memory_max",
     .kind = SCHEMA_SIZE,
     FIELD(server.memory_max),
     .min = MIB,
     .max = 1024 * GIB,
     .meaning = "bytes of all request bodies together; more get 503"},
    {.name = "server.drain_timeout",
     .kind = SCHEMA_MS,
     FIELD(drain_ms),
     .min = 0,
     .max = 3600000,
     .meaning = "after SIGTERM, running requests have this long to finish"},
    {.name = "limits.body_max",
     .kind = SCHEMA_SIZE,
     FIELD(api.body_max),
     .min = KIB,
     .max = GIB,
     .meaning = "bytes of a request body with images"},
    {.name = "limits.text_body_max",
     .kind = SCHEMA_SIZE,
     FIELD(api.text_body_max),
     .min = KIB,
     .max = 256 * MIB,
     .meaning = "bytes of a request body with texts only"},
    {.name = "limits.images_max",
     .kind = SCHEMA_COUNT,
     FIELD(api.images_max),
     .min = 1,
     .max = 65536,
     .meaning = "images in one request"},
    {.name = "limits.texts_max",
     .kind = SCHEMA_COUNT,
     FIELD(api.texts_max),
     .min = 1,
     .max = 1000000,
     .meaning = "texts, or labels times templates, in one request"},
    {.name = "limits.items_max",
     .kind = SCHEMA_COUNT,
     FIELD(api.items_max),
     .min = 1,
     .max = COLLECTION_BATCH_MAX,
     .meaning = "items of a collection in one request or one page; NDJSON may have any number"},
    {.name = "limits.pixels_max",
     .kind = SCHEMA_COUNT,
     FIELD(image_limits.pixels_max),
     .min = 1,
     .max = 1000000000,
     .meaning = "width times height of an image, read from its header before decoding"},
    {.name = "limits.side_max",
     .kind = SCHEMA_COUNT,
     FIELD(image_limits.side_max),
     .min = 1,
     .max = 65535,
     .meaning = "pixels of the longer side of an image"},
    {.name = "limits.deadline",
     .kind = SCHEMA_MS,
     FIELD(api.timeout_ms),
     .min = 0,
     .max = 3600000,
     .meaning = "from the first byte of a request to its answer, else 504; 0s is none"},
    {.name = "engine.threads",
     .kind = SCHEMA_COUNT,
     FIELD(runtime.threads),
     .min = 0,
     .max = 1024,
     .meaning = "threads that run the models; 0 is one for each usable core"},
    {.name = "engine.decode_threads",
     .kind = SCHEMA_COUNT,
     FIELD(runtime.decode_threads),
     .min = 0,
     .max = 1024,
     .meaning = "threads that decode images; 0 is one for each usable core"},
    {.name = "engine.batch_max",
     .kind = SCHEMA_COUNT,
     FIELD(runtime.batch_max),
     .min = 1,
     .max = 256, /* BATCH_MAX_LIMIT */
     .meaning = "inputs that go through a model together"},
    {.name = "engine.queue_limit",
     .kind = SCHEMA_COUNT,
     FIELD(runtime.queue_limit),
     .min = 1,
     .max = 1000000,
     .meaning = "inputs waiting for a model, or to be decoded; more get 503"},
    {.name = "engine.precision",
     .kind = SCHEMA_TEXT,
     FIELD(precision),
     .choices = "auto|fp32|bf16|int8",
     .variable = "CLIPD_PRECISION",
     .meaning =
         "arithmetic of the default model, over what its entry says; `auto` leaves it to the "
         "entry"},
    {.name = "engine.cpu",
     .kind = SCHEMA_TEXT,
     FIELD(runtime.cpu),
     .choices = "all|generic|avx2|avx512|avx512_vnni|avx512_bf16",
     .variable = "CLIPD_CPU",
     .meaning = "the most of the CPU's instruction sets that may be used"},
    {.name = "engine.cache_dir",
     .kind = SCHEMA_TEXT,
     FIELD(cache_dir),
     .variable = "CLIPD_CACHE_DIR",
     .meaning = "where packed weights are kept; `auto` is `clipd` in the user's cache directory, "
                "`none` keeps none"},
    {.name = "engine.label_cache_max",
     .kind = SCHEMA_SIZE,
     FIELD(api.label_cache_max),
     .min = 0,
     .max = 64 * GIB,
     .meaning = "bytes of label embeddings that `/classify` keeps"},
    {.name = "store.location",
     .kind = SCHEMA_SECRET,
     FIELD(store_location),
     .variable = "CLIPD_STORE",
     .meaning = "where collections are kept: a directory, `auto` for `clipd` in the user's data "
                "directory, or `postgresql://...`; `none` keeps no collections"},
    {.name = "store.approximate_from",
     .kind = SCHEMA_COUNT,
     FIELD(collections.approximate_from),
     .min = 0,
     .max = UINT64_MAX,
     .meaning = "items of a collection from which on an approximate index is kept; 0 is the "
                "store's own choice"},
    {.name = "store.connections",
     .kind = SCHEMA_COUNT,
     FIELD(collections.connections),
     .min = 0,
     .max = 1000,
     .meaning = "connections to PostgreSQL at most; 0 is the store's own choice"},
    {.name = "store.timeout",
     .kind = SCHEMA_MS,
     FIELD(collections.timeout_ms),
     .min = 0,
     .max = 3600000,
     .meaning = "for an answer of PostgreSQL; 0s is the store's own choice"},
    {.name = "log.level",
     .kind = SCHEMA_CHOICE,
     FIELD(log_level),
     .choices = "debug|info|warning|error|off",
     .meaning = "what goes to standard error"},
    {.name = "log.format",
     .kind = SCHEMA_CHOICE,
     FIELD(log_format),
     .choices = "text|json",
     .meaning = "lines for people or for machines"},
};
const size_t schema_keys_count = sizeof(schema_keys) / sizeof(schema_keys[0]);

const struct schema_key schema_model_keys[] = {
    {.name = "name",
     .kind = SCHEMA_TEXT,
     MODEL_FIELD(engine.name),
     .meaning = "what requests call it; by default the last part of `path`"},
    {.name = "path",
     .kind = SCHEMA_TEXT,
     MODEL_FIELD(engine.path),
     .meaning = "directory of the checkpoint, a bare weight file, or the name of a model that "
                "`clipd pull` has fetched; required"},
    {.name = "vocab",
     .kind = SCHEMA_TEXT,
     MODEL_FIELD(engine.vocab),
     .meaning = "tokenizer file or directory; by default beside the weights"},
    {.name = "tokenizer",
     .kind = SCHEMA_TEXT,
     MODEL_FIELD(engine.tokenizer),
     .choices = "openai|open_clip|hf-fast",
     .meaning = "how texts are cleaned; by default as the checkpoint was made"},
    {.name = "activation",
     .kind = SCHEMA_TEXT,
     MODEL_FIELD(engine.activation),
     .choices = "quick_gelu|gelu|gelu_tanh",
     .meaning = "activation of the towers; by default as configured, `quick_gelu` for a bare file"},
    {.name = "precision",
     .kind = SCHEMA_TEXT,
     MODEL_FIELD(engine.precision),
     .choices = "fp32|bf16|int8",
     .meaning = "arithmetic of the towers; by default bf16 where the CPU has it, else fp32"},
    {.name = "preprocess",
     .kind = SCHEMA_TEXT,
     MODEL_FIELD(engine.preprocess),
     .choices = "exact|fast",
     .meaning = "`fast` decodes large JPEGs at a fraction of their size: cheaper, close to the "
                "references but not exact, and answers say so; by default exact"},
    {.name = "profile",
     .kind = SCHEMA_TEXT,
     MODEL_FIELD(engine.profile),
     .meaning = "which products are int8, a file of `clipd quantize`; for precision int8"},
    {.name = "cosine_min",
     .kind = SCHEMA_FRACTION,
     MODEL_FIELD(engine.cosine_min_ppm),
     .min = 0,
     .max = 1000000,
     .meaning = "int8 with a smaller cosine to fp32 is refused; 0 measures nothing, 0.999 by "
                "default"},
    {.name = "image_size",
     .kind = SCHEMA_COUNT,
     MODEL_FIELD(engine.image_size),
     .min = 0,
     .max = 4096,
     .meaning = "side of the input in pixels, position embeddings are interpolated; 0 is the "
                "checkpoint's own"},
    {.name = "head_width",
     .kind = SCHEMA_COUNT,
     MODEL_FIELD(engine.head_width),
     .min = 0,
     .max = 1024,
     .meaning = "width of an attention head of a bare weight file; 0 is inferred"},
    {.name = "exif_orientation",
     .kind = SCHEMA_BOOL,
     MODEL_FIELD(engine.exif_orientation),
     .meaning = "turn photographs upright first; the references do not"},
    {.name = "aliases",
     .kind = SCHEMA_LIST,
     MODEL_FIELD(aliases),
     .meaning = "further names, such as a size: `[small]`"},
    {.name = "default",
     .kind = SCHEMA_BOOL,
     MODEL_FIELD(is_default),
     .meaning = "answers requests that name no model; exactly one of several models"},
};
const size_t schema_model_keys_count = sizeof(schema_model_keys) / sizeof(schema_model_keys[0]);

static_assert(sizeof(schema_keys) / sizeof(schema_keys[0]) <= SCHEMA_KEYS_MAX, "room for keys");
static_assert(sizeof(schema_model_keys) / sizeof(schema_model_keys[0]) <= SCHEMA_MODEL_KEYS_MAX,
              "room for the keys of a model");

const struct schema_key *schema_find(const char *name) {
    for (size_t i = 0; i < schema_keys_count; i++) {
        if (!strcmp(schema_keys[i].name, name)) return &schema_keys[i];
    }
    return NULL;
}

void schema_environment_name(char out[SCHEMA_NAME_SIZE], const struct schema_key *key) {
    static const char prefix[] = "CLIPD_";
    if (key->variable) {
        assert(strlen(key->variable) < SCHEMA_NAME_SIZE);
        memcpy(out, key->variable, strlen(key->variable) + 1);
        return;
    }
    assert(sizeof(prefix) + strlen(key->name) <= SCHEMA_NAME_SIZE);
    memcpy(out, prefix, sizeof(prefix));
    char *to = out + sizeof(prefix) - 1;
    for (const char *c = key->name; *c; c++)
        *to++ = (char)(*c == '.' ? '_' : toupper((unsigned char)*c));
    *to = '\0';
}
