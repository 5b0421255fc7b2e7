-- The gate as one would write it in Lua for nginx: clear code, the library's own parsing, OpenSSL's one-shot HMAC.
local ffi = require "ffi"
local bit = require "bit"

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
const EVP_MD *EVP_sha256(void);
unsigned char *HMAC(const EVP_MD *evp_md, const void *key, int key_len, const unsigned char *d, size_t n,
                    unsigned char *md, unsigned int *md_len);
]]

local _M = {}

local BODIES = {
    GET = '[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":100000,"count":0},'
        .. '{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":160000000,"count":0}]',
    POST = "{}",
}
local PERMISSIONS = { GET = "reading", POST = "spot-and-margin-trading" }
local WEIGHTS = { GET = 20, POST = 1 }
local LIMIT = 1200000
local DEFAULT_RECV_WINDOW = 5000

local function number_of(address)
    local a, b, c, d = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
    if not a then
        return nil
    end
    return bit.bor(bit.lshift(a, 24), bit.lshift(b, 16), bit.lshift(c, 8), d)
end

local function network_of(cidr)
    local address, bits = cidr:match("^(.+)/(%d+)$")
    bits = tonumber(bits)
    local mask = bits == 0 and 0 or bit.lshift(-1, 32 - bits)
    return { network = bit.band(number_of(address), mask), mask = mask }
end

local keys = {}
for line in io.lines(KEYS_FILE) do
    local api_key, secret, permissions, whitelist = line:match("^(%S+)\t(%S+)\t(%S+)\t(%S+)$")
    local key = { secret = secret, permissions = {}, whitelist = {} }
    for permission in permissions:gmatch("[^,]+") do
        key.permissions[permission] = true
    end
    for cidr in whitelist:gmatch("[^,]+") do
        table.insert(key.whitelist, network_of(cidr))
    end
    keys[api_key] = key
end

local function hmac_sha256_hex(secret, payload)
    local digest = ffi.new("unsigned char[32]")
    local length = ffi.new("unsigned int[1]")
    ffi.C.HMAC(ffi.C.EVP_sha256(), secret, #secret, payload, #payload, digest, length)
    return (ffi.string(digest, 32):gsub(".", function(char)
        return string.format("%02x", char:byte())
    end))
end

local function equal(left, right)
    if #left ~= #right then
        return false
    end
    local difference = 0
    for index = 1, #left do
        difference = bit.bor(difference, bit.bxor(left:byte(index), right:byte(index)))
    end
    return difference == 0
end

local function without_signature(raw)
    local rest = raw:gsub("&signature=[^&]*", "", 1)
    return rest
end

local function reply(status, body)
    ngx.status = status
    ngx.header["Content-Type"] = "application/json;charset=UTF-8"
    ngx.header["Content-Length"] = #body
    ngx.print(body)
end

local function refuse(status, code, message)
    reply(status, string.format('{"code":%d,"msg":"%s"}', code, message))
end

function _M.handle()
    local method = ngx.req.get_method()
    local address = ngx.var.remote_addr

    local window = math.floor(ngx.now() / 60)
    local used = ngx.shared.weights:incr(address .. ":" .. window, WEIGHTS[method] or 1, 0, 120)
    ngx.header["X-MBX-USED-WEIGHT"] = used
    ngx.header["X-MBX-USED-WEIGHT-1M"] = used
    if used > LIMIT * 1000 then
        return refuse(429, -1003, "Too much request weight used.")
    end

    local query = ngx.var.args or ""
    local body = ""
    local parameters = ngx.req.get_uri_args()
    if method == "POST" then
        ngx.req.read_body()
        body = ngx.req.get_body_data() or ""
        for name, value in pairs(ngx.decode_args(body)) do
            parameters[name] = value
        end
    end
    if not parameters.timestamp then
        return refuse(400, -1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.")
    end
    if not parameters.signature then
        return refuse(400, -1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")
    end

    local api_key = ngx.req.get_headers()["X-MBX-APIKEY"]
    if not api_key or #api_key ~= 64 then
        return refuse(401, -2014, "API-key format invalid.")
    end
    local key = keys[api_key]
    if not key then
        return refuse(401, -2015, "Invalid API-key, IP, or permissions for action.")
    end
    local number = number_of(address)
    local allowed = false
    for _, network in ipairs(key.whitelist) do
        if bit.band(number, network.mask) == network.network then
            allowed = true
            break
        end
    end
    if not allowed or not key.permissions[PERMISSIONS[method]] then
        return refuse(401, -2015, "Invalid API-key, IP, or permissions for action.")
    end

    local now = ngx.now() * 1000
    local timestamp = tonumber(parameters.timestamp)
    local recv_window = tonumber(parameters.recvWindow or DEFAULT_RECV_WINDOW)
    if not timestamp or not recv_window or timestamp >= now + 1000 or now - timestamp > recv_window then
        return refuse(400, -1021, "Timestamp for this request is outside of the recvWindow.")
    end

    local expected = hmac_sha256_hex(key.secret, without_signature(query) .. without_signature(body))
    if not equal(expected, parameters.signature:lower()) then
        return refuse(400, -1022, "Signature for this request is not valid.")
    end
    return reply(200, BODIES[method])
end

return _M
