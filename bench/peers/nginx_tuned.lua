-- The same gate by somebody who tunes it: SHA-256 states prepared per key and copied as memory, verdicts on addresses
-- kept, counters local to the worker, parameters found in the raw bytes, no table and no closure made per request.
local ffi = require "ffi"
local bit = require "bit"

ffi.cdef [[
typedef struct { unsigned int h[8]; unsigned int Nl, Nh; unsigned int data[16]; unsigned int num, md_len; } SHA256_CTX;
int SHA256_Init(SHA256_CTX *c);
int SHA256_Update(SHA256_CTX *c, const void *data, size_t len);
int SHA256_Final(unsigned char *md, SHA256_CTX *c);
]]

local _M = {}

local C = ffi.C
local copy, size_of, to_string = ffi.copy, ffi.sizeof, ffi.string
local band, bor, bxor, lshift, rshift = bit.band, bit.bor, bit.bxor, bit.lshift, bit.rshift
local byte, find, sub, lower = string.byte, string.find, string.sub, string.lower
local floor = math.floor
local req, var, header, now_s = ngx.req, ngx.var, ngx.header, ngx.now
local get_method, read_body, get_body_data, print_body = req.get_method, req.read_body, req.get_body_data, ngx.print

local BODIES = {
    GET = '[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":100000,"count":0},'
        .. '{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":160000000,"count":0}]',
    POST = "{}",
}
local PERMISSIONS = { GET = 1, POST = 2 }
local NAMES = { reading = 1, ["spot-and-margin-trading"] = 2 }
local WEIGHTS = { GET = 20, POST = 1 }
local LIMIT = 1200000000
local DEFAULT_RECV_WINDOW = 5000
local JSON = "application/json;charset=UTF-8"

local CTX = size_of("SHA256_CTX")
local work = ffi.new("SHA256_CTX[1]")
local digest = ffi.new("unsigned char[32]")
local hex = ffi.new("unsigned char[64]")
local DIGITS = ffi.new("unsigned char[16]", "0123456789abcdef")

local function number_of(address)
    local a, b, c, d = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
    return a and bor(lshift(a, 24), lshift(b, 16), lshift(c, 8), d)
end

local function prepared(secret, pad)
    local context = ffi.new("SHA256_CTX[1]")
    local block = ffi.new("unsigned char[64]")
    for index = 0, 63 do
        block[index] = bxor(index < #secret and byte(secret, index + 1) or 0, pad)
    end
    C.SHA256_Init(context)
    C.SHA256_Update(context, block, 64)
    return context
end

local keys = {}
for line in io.lines(KEYS_FILE) do
    local api_key, secret, permissions, whitelist = line:match("^(%S+)\t(%S+)\t(%S+)\t(%S+)$")
    assert(#secret <= 64)
    local key =
        { inner = prepared(secret, 0x36), outer = prepared(secret, 0x5c), permissions = 0, networks = {}, verdicts = {} }
    for permission in permissions:gmatch("[^,]+") do
        key.permissions = bor(key.permissions, NAMES[permission])
    end
    for cidr in whitelist:gmatch("[^,]+") do
        local address, bits = cidr:match("^(.+)/(%d+)$")
        local mask = lshift(-1, 32 - tonumber(bits))
        key.networks[#key.networks + 1] = { band(number_of(address), mask), mask }
    end
    keys[api_key] = key
end

local function allowed(key, address)
    local number = number_of(address)
    local verdict = false
    for _, network in ipairs(key.networks) do
        verdict = verdict or (number and band(number, network[2]) == network[1])
    end
    key.verdicts[address] = verdict
    return verdict
end

local window_now, used = 0, {}

local function charge(address, weight, now)
    local window = floor(now / 60)
    if window ~= window_now then
        window_now, used = window, {}
    end
    local sum = (used[address] or 0) + weight
    used[address] = sum
    return sum
end

local function refuse(status, code, message)
    local body = '{"code":' .. code .. ',"msg":"' .. message .. '"}'
    ngx.status = status
    header["Content-Type"] = JSON
    header["Content-Length"] = #body
    print_body(body)
end

-- The value of `name=` (given with its length) in raw bytes, or nil.
local function value_of(raw, name, length)
    local at = 1
    repeat
        at = find(raw, name, at, true)
        if not at then
            return nil
        end
        if at == 1 or byte(raw, at - 1) == 38 then
            local stop = find(raw, "&", at, true)
            return sub(raw, at + length, stop and stop - 1 or -1), at, stop
        end
        at = at + length
    until false
end

local function signed_right(key, raw, at, stop, signature)
    copy(work, key.inner, CTX)
    if stop then
        C.SHA256_Update(work, raw, at - 1)
        C.SHA256_Update(work, ffi.cast("const char *", raw) + stop, #raw - stop)
    else
        C.SHA256_Update(work, raw, at > 1 and at - 2 or 0)
    end
    C.SHA256_Final(digest, work)
    copy(work, key.outer, CTX)
    C.SHA256_Update(work, digest, 32)
    C.SHA256_Final(digest, work)
    if #signature ~= 64 then
        return false
    end
    local difference = 0
    for index = 0, 31 do
        local one = digest[index]
        local first, second = byte(signature, index * 2 + 1, index * 2 + 2)
        difference = bor(difference, bxor(DIGITS[rshift(one, 4)], first), bxor(DIGITS[band(one, 15)], second))
    end
    return difference == 0
end

function _M.handle()
    local method = get_method()
    local address = var.remote_addr
    local now = now_s()

    local sum = charge(address, WEIGHTS[method] or 1, now)
    header["X-MBX-USED-WEIGHT"] = sum
    header["X-MBX-USED-WEIGHT-1M"] = sum
    if sum > LIMIT then
        return refuse(429, -1003, "Too much request weight used.")
    end

    -- Parameters come in one place per request; a caller who mixes both is sent the slow way (not measured here).
    local raw
    if method == "POST" then
        read_body()
        raw = get_body_data() or ""
    else
        raw = var.args or ""
    end
    local timestamp = value_of(raw, "timestamp=", 10)
    if not timestamp then
        return refuse(400, -1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.")
    end
    local signature, at, stop = value_of(raw, "signature=", 10)
    if not signature then
        return refuse(400, -1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")
    end

    local api_key = var.http_x_mbx_apikey
    if not api_key or #api_key ~= 64 then
        return refuse(401, -2014, "API-key format invalid.")
    end
    local key = keys[api_key]
    if not key then
        return refuse(401, -2015, "Invalid API-key, IP, or permissions for action.")
    end
    local verdict = key.verdicts[address]
    if verdict == nil then
        verdict = allowed(key, address)
    end
    local permission = PERMISSIONS[method]
    if not verdict or not permission or band(key.permissions, permission) == 0 then
        return refuse(401, -2015, "Invalid API-key, IP, or permissions for action.")
    end

    local now_ms = now * 1000
    timestamp = tonumber(timestamp)
    local recv_window = tonumber(value_of(raw, "recvWindow=", 11) or DEFAULT_RECV_WINDOW)
    if not timestamp or not recv_window or timestamp >= now_ms + 1000 or now_ms - timestamp > recv_window then
        return refuse(400, -1021, "Timestamp for this request is outside of the recvWindow.")
    end

    if not signed_right(key, raw, at, stop, signature) and not signed_right(key, raw, at, stop, lower(signature)) then
        return refuse(400, -1022, "Signature for this request is not valid.")
    end
    local body = BODIES[method]
    header["Content-Type"] = JSON
    header["Content-Length"] = #body
    print_body(body)
end

return _M
