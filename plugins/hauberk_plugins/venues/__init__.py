"""Venues: an exchange is a file of data, read strictly.

`VenueCatalogue` finds venue files and reads them; `VenueFile` is one of them, ready to be asked.
`binance.yml` shows every part of a file:

- `name`, as the file is called; `base_urls`, the only places that its keys sign for;
- `body`: how a body is read, `form` or `json`;
- `sorted`: whether parameters are taken sorted by name; `envelope`: what signed parameters stand
  in where that is neither query nor plain body, `{header: NAME}` or `{member: NAME}`;
- `adds`: the parameters and headers that signing may add, and the headers that hold keys;
- `operations`: what each endpoint does, `METHOD /path: operation`. Where that depends on a
  parameter: `{otherwise: trade, when: {reduceOnly: {"true": reduce}}}`;
- `errors`: what an answer says, by HTTP status or by a code in a JSON body (`field` says where);
- `server_time`: the endpoint that tells the exchange's time; `key_check`: a request that tells
  whether a key works, and changes nothing, and `good`, what a good answer says, where errors come
  with HTTP status 200 too;
- `emergency`: what cancels every order at once, and timers that do when nobody renews them, for the
  kill switch alone; see `emergency.py`;
- `signing`, `limits` and `orders`: for the plugins `signing`, `throttle` and `policy` to interpret.
"""
