#!/bin/sh
# check_layers.sh - who may include whom. The architecture, as a test.
# Prints every #include that points the wrong way; exits 1 if there is one.
cd "$(dirname "$0")/.." || exit 2
status=0

# deny FOLDER PATTERN REASON [EXCEPT]: no file under FOLDER may include PATTERN.
deny() {
    [ -d "$1" ] || return
    found=$(grep -rnE --include='*.[ch]' --include='*.cc' --include='*.hh' --exclude-dir=build --exclude-dir=tests "^#include [<\"]($2)" "$1")
    [ -n "${4:-}" ] && found=$(printf '%s\n' "$found" | grep -vE "^($4):")
    [ -z "$found" ] && return
    printf '%s\n  ^ %s\n' "$found" "$3"
    status=1
}

# The rooms of a model, from the bottom up: none includes one that comes after it.
rooms='weights|checkpoint|towers|blueprint|pack|model'
# What stands above the rooms of core: the files of core/ itself.
engine='core/[a-z_]+\.h'

deny core   'api/|server/|config/|hub/|cli/'    'core knows nothing above it'
deny api    'server/|config/|hub/|cli/'         'api knows nothing above it'
deny server 'config/|hub/|cli/'                 'only cli/ puts the parts together'
deny server "core/(image|text|$rooms|kernels|batch|index|classify)/|$engine" 'the adapter sees api/ and core/base/'
deny config "cli/|hub/|core/(image|text|$rooms|kernels|batch)/|core/index/[^c]" 'config knows option structs only'
deny hub    'api/|server/|config/|cli/|core/[^b]' 'the hub knows files and core/base'
deny api    "core/(kernels|text|image|$rooms)/|core/index/(collection_check|store|vectors|hnsw)" 'api sees the doors of core'
deny core/base     "core/(image|text|$rooms|kernels|batch|index|classify)/|$engine" 'base is the bottom'
deny core/kernels  "core/(image|text|$rooms|batch|index|classify)/|$engine" 'kernels know numbers only'
deny core/image    "core/(text|$rooms|batch|index|classify)/|$engine"  'image is independent'
deny core/text     "core/(image|$rooms|kernels|batch|index|classify)/|$engine" 'text is independent'
deny core/weights    'core/(kernels|checkpoint|towers|blueprint|pack|model)/' 'tensors come from files, whatever the model'
deny core/checkpoint 'core/(kernels|towers|blueprint|pack|model)/' 'what a model is does not depend on how it is computed'
deny core/towers     'core/(weights|blueprint|pack|model)/|core/checkpoint/[^i]' 'towers run what is packed, and of checkpoints know info.h'
deny core/blueprint  'core/(pack|model)/' 'a blueprint knows nothing of the bytes it becomes'
deny core/pack       'core/model/' 'packing knows nothing of who opens the model'
for room in $(echo $rooms | tr '|' ' '); do
    deny "core/$room" "core/(image|text|batch|index|classify)/|$engine" 'the model takes tensors'
done
deny core/batch    "core/(image|text|$rooms|kernels|index|classify)/|$engine" 'the batcher knows void pointers'
deny core/classify "core/(image|text|$rooms|batch|index)/" 'classify stands on the engine'
deny core/index "core/(image|$rooms|batch|classify)/|core/text/[^u]|$engine" 'the index takes embeddings, and of texts knows UTF-8'
deny .  'core/index/postgres/' 'a store is seen through core/index/collection.h alone' './core/index/postgres/[a-z_]+\.[ch]'
deny .  'core/index/sqlite/' 'a store is seen through core/index/collection.h alone' './core/index/sqlite/[a-z_]+\.[ch]'

deny .  'microhttpd.h'         'only server/ speaks MHD'  './server/(io_thread|exchange|exchange_state|head|answer)\.[ch]'
deny .  'jansson.h'            'JSON lives in api/, config/, cli/, hub/answer.c and where checkpoints are read' './(api/[a-z_]+|config/[a-z_]+|cli/[a-z_]+|core/base/json|core/weights/(safetensors|shard_index)|core/text/[a-z_]+|hub/answer)\.[ch]'
deny .  'cblas.h|openblas'     'only core/kernels/gemm_blas.c speaks BLAS'  './core/kernels/gemm_blas.c'
deny .  'jpeglib.h|turbojpeg.h' 'only core/image/jpeg.c speaks JPEG'   './core/image/jpeg.c'
deny .  'png.h'                'only core/image/png.c speaks PNG'      './core/image/png.c'
deny .  'webp/'                'only core/image/webp.c speaks WebP'    './core/image/webp.c'
deny .  'cyaml/'               'only config/file.c speaks YAML'        './config/file.c'
deny .  'yaml.h'               'only config/lines.c speaks libyaml'    './config/lines.c'
deny .  'utf8proc.h'           'only core/text/unicode.c speaks utf8proc' './core/text/unicode.c'
deny .  'xxhash.h'             'checksums live in core/base/checksum.c' './core/base/checksum.c'
deny .  'sqlite3.h'            'only core/index/sqlite/ speaks SQLite' './core/index/sqlite/[a-z_]+\.[ch]'
deny .  'libpq-fe.h'           'only three files of core/index/postgres/ speak to PostgreSQL' './core/index/postgres/(query|link|pool)\.c'
deny .  'hnswlib/'             'only core/index/hnsw_graph.hh includes hnswlib' './core/index/hnsw_graph.hh'
deny .  'curl/'                'only hub/transfer*.c speaks HTTP to others' './hub/transfer(_url|_failure)?\.c'
deny .  'zlib.h'               'only core/text/vocabulary_file.c inflates' './core/text/vocabulary_file.c'
deny .  'nettle/'              'digests and base64 live in core/base'  './core/base/(sha1|sha256|base64)\.c'
deny .  'immintrin.h|arm_neon.h' 'intrinsics live in core/kernels/*_<isa>.c' './core/kernels/[a-z0-9_]+_(avx2|avx512|avx512_vnni|avx512_bf16|neon)\.[ch]'

# The map in ARCHITECTURE.md has each folder of core/ once.
for folder in core/*/ core/*/*/; do
    name=$(basename "$folder")
    [ "$(grep -c "^  *$name/ " ARCHITECTURE.md)" -eq 1 ] && continue
    echo "ARCHITECTURE.md: $folder is not in the map, or more than once"
    status=1
done
exit $status
