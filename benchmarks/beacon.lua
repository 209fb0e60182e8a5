-- Load for benchmarks/beacon.py: wrk … --script beacon.lua URL -- RUN SIZE
-- Each request posts SIZE events with ids of their own; at the end one line of JSON says what was answered.

local number = 0
function setup(thread)
  number = number + 1
  thread:set("number", number)
end

local EVENT = '{"event_id":"%s-%d","event_type":"click","user_id":"u-4711","session_id":"%s",'
  .. '"page":"https://shop.example/laptops/%d","item_id":"LAP%03d","item_name":"Laptop, 13 inch, 16 GB",'
  .. '"category":"laptops","price":12.5,"quantity":1}'

function init(arguments)
  run, size, sent = arguments[1] .. "-" .. number, tonumber(arguments[2]), 0
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "text/plain"
  wrk.headers["User-Agent"] =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
end

function request()
  local events = {}
  for place = 1, size do
    sent = sent + 1
    events[place] = string.format(EVENT, run, sent, run, sent % 50, sent % 50)
  end
  local body = size == 1 and events[1] or '{"events":[' .. table.concat(events, ",") .. "]}"
  return wrk.format(nil, nil, nil, body)
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('\n{"requests":%d,"microseconds":%d,"errors":%d}\n', summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
