-- The token of a request against its X-Client-ID. HMAC and RSA by OpenSSL through the FFI;
-- everything that can be made once is made once.
local ffi = require "ffi"
local cjson = require "cjson.safe"
local settings = require "settings"

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
typedef struct evp_md_ctx_st EVP_MD_CTX;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct bio_st BIO;
const EVP_MD *EVP_sha256(void);
unsigned char *HMAC(const EVP_MD *md, const void *key, int key_len, const unsigned char *d, size_t n,
                    unsigned char *out, unsigned int *out_len);
int CRYPTO_memcmp(const void *a, const void *b, size_t len);
BIO *BIO_new_mem_buf(const void *buf, int len);
EVP_PKEY *PEM_read_bio_PUBKEY(BIO *bio, EVP_PKEY **x, void *cb, void *u);
EVP_MD_CTX *EVP_MD_CTX_new(void);
int EVP_MD_CTX_reset(EVP_MD_CTX *ctx);
int EVP_DigestVerifyInit(EVP_MD_CTX *ctx, void **pctx, const EVP_MD *type, void *e, EVP_PKEY *pkey);
int EVP_DigestVerify(EVP_MD_CTX *ctx, const unsigned char *sig, size_t siglen, const unsigned char *tbs, size_t tbslen);
]]
local crypto = ffi.load("libcrypto.so.3")
local sha256 = crypto.EVP_sha256()

local file = assert(io.open(settings.key_file, "rb"))
local key = file:read("*a")
file:close()

local verify
if settings.algorithm == "HS256" then
    local out = ffi.new("unsigned char[32]")
    local out_len = ffi.new("unsigned int[1]")
    verify = function(signed, signature)
        if #signature ~= 32 then
            return false
        end
        crypto.HMAC(sha256, key, #key, signed, #signed, out, out_len)
        return crypto.CRYPTO_memcmp(out, signature, 32) == 0
    end
else
    local public = crypto.PEM_read_bio_PUBKEY(crypto.BIO_new_mem_buf(key, #key), nil, nil, nil)
    assert(public ~= nil, "the public key cannot be read")
    local ctx = crypto.EVP_MD_CTX_new()
    verify = function(signed, signature)
        crypto.EVP_MD_CTX_reset(ctx)
        if crypto.EVP_DigestVerifyInit(ctx, nil, sha256, nil, public) ~= 1 then
            return false
        end
        return crypto.EVP_DigestVerify(ctx, signature, #signature, signed, #signed) == 1
    end
end

local decode = require("ngx.base64").decode_base64url
local find, sub = string.find, string.sub

local function refuse(status, words)
    ngx.status = status
    ngx.header["Content-Type"] = "application/json"
    ngx.header["Content-Length"] = #words
    ngx.print(words)
    return ngx.exit(status)
end

local function unauthorized()
    return refuse(401, '{"error":"Authentication required"}')
end

local _M = {}

function _M.check()
    local bearer = ngx.var.http_authorization
    if not bearer or sub(bearer, 1, 7) ~= "Bearer " then
        return unauthorized()
    end
    local first = find(bearer, ".", 8, true)
    local second = first and find(bearer, ".", first + 1, true)
    if not second then
        return unauthorized()
    end
    local header = cjson.decode(decode(sub(bearer, 8, first - 1)) or "")
    if type(header) ~= "table" or header.alg ~= settings.algorithm then
        return unauthorized()
    end
    local signature = decode(sub(bearer, second + 1))
    if not signature or not verify(sub(bearer, 8, second - 1), signature) then
        return unauthorized()
    end
    local claims = cjson.decode(decode(sub(bearer, first + 1, second - 1)) or "")
    if type(claims) ~= "table" or type(claims.exp) ~= "number" or claims.exp <= ngx.time()
        or type(claims.uid) ~= "number" or type(claims.clients) ~= "table" then
        return unauthorized()
    end
    local client = tonumber(ngx.var.http_x_client_id)
    for _, allowed in ipairs(claims.clients) do
        if allowed == client then
            ngx.var.user = claims.uid
            return
        end
    end
    return refuse(404, '{"error":"Client not found or not owned"}')
end

return _M
