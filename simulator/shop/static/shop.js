/* The demo shop: fills the page that the address names. In single-page mode links change the address by the history API. */

const {base, mode, orders} = document.body.dataset;
const single = mode === 'single';
const main = document.getElementById('main');
const euro = new Intl.NumberFormat('en-IE', {style: 'currency', currency: 'EUR'});
const DEPARTMENTS = {phones: 'mobile phones', laptops: 'laptops', cameras: 'cameras', accessories: 'accessories'};
const PICTURES = {
  'mobile phones': '<rect class="fill" x="34" y="6" width="32" height="68" rx="6"/><path class="accent" d="M44 12h12M47 68h6"/>',
  laptops: '<rect class="fill" x="22" y="12" width="56" height="40" rx="4"/><path d="M12 62h76l-6-10H18z" class="fill"/><path class="accent" d="M42 57h16"/>',
  cameras: '<path class="fill" d="M14 24h18l6-10h24l6 10h18v42H14z"/><circle class="accent" cx="50" cy="44" r="14"/><circle cx="50" cy="44" r="6"/>',
  accessories: '<path class="fill" d="M36 8h28v20l-6 8v10H42V36l-6-8z"/><path class="accent" d="M44 8V2M56 8V2M50 46c0 14-22 8-22 26"/>',
};

/* The beacon may load after this script, or never: calls wait in its queue. */
function milepost(...call) {
  window.milepost ||= {q: []};
  window.milepost.q.push(call);
}

const memory = {};
function recall(name) {
  try { return localStorage.getItem('shop.' + name) || memory[name]; } catch { return memory[name]; }
}
function remember(name, value) {
  memory[name] = value;
  try { localStorage.setItem('shop.' + name, value); } catch { /* the cart lives as long as the page */ }
}
const cart = () => JSON.parse(recall('cart') || '{}');
function putCart(lines) {
  remember('cart', JSON.stringify(lines));
  document.getElementById('count').textContent = Object.values(lines).reduce((sum, n) => sum + n, 0);
}

const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const picture = (item) => `<svg viewBox="0 0 100 80" fill="none" stroke="currentColor" stroke-width="2.5" aria-hidden="true">${PICTURES[item.category]}</svg>`;
const about = (item) => `data-milepost-item-id="${item.item_id}" data-milepost-item-name="${escaped(item.name)}" data-milepost-category="${escaped(item.category)}" data-milepost-price="${item.price}" data-milepost-currency="EUR"`;
const card = (item) => `<a class="card" href="${base}/item/${item.item_id}" ${about(item)} data-milepost-event="click">${picture(item)}<span class="name">${escaped(item.name)}</span><span class="price">${euro.format(item.price)}</span></a>`;
const grid = (items) => `<div class="grid">${items.map(card).join('')}</div>`;
const fields = (item, quantity = 1) => ({item_id: item.item_id, item_name: item.name, category: item.category, price: item.price, quantity, currency: 'EUR'});

let items = [];
const find = (id) => items.find((each) => each.item_id === id);
const lines = () => Object.entries(cart()).map(([id, quantity]) => ({...fields(find(id)), quantity}));
const total = () => lines().reduce((sum, line) => sum + line.price * line.quantity, 0);

function drawn(item) {
  const known = find(item.item_id);
  if (!known) return null;
  const box = document.createElement('div');
  box.innerHTML = card(known);
  box.firstChild.removeAttribute('data-milepost-event'); // the recommendation's own click says it
  return box.firstChild;
}
function recommend(placement, seen) {
  milepost('recommend', document.getElementById('recommended'), {n: 4, placement, items: seen, draw: drawn});
}

const PAGES = {
  '': () => ['Wayside Electronics', `<h1>Phones, laptops and cameras,<br>delivered by our own trucks</h1>
    <p class="lead">Ordered today, brought tomorrow. You can see on the map where your parcel is.</p>
    ${grid(['MOB002', 'LAP001', 'CAM002', 'MOB006', 'LAP004', 'CAM003', 'ACC006', 'ACC003'].map(find))}
    <h2>For you</h2><div class="grid" id="recommended"></div>`, () => recommend('home')],
  item: (id) => {
    const item = find(id);
    if (!item) return ['Not found', '<h1>We do not sell that</h1>'];
    return [item.name, `<div class="item">${picture(item)}<div><p class="muted">${escaped(item.category)}</p><h1>${escaped(item.name)}</h1>
      <p class="price">${euro.format(item.price)}</p>
      <button id="add" ${about(item)} data-milepost-event="add_to_cart" data-milepost-quantity="1">Add to cart</button>
      <p class="muted">In stock. Free returns within 30 days.</p></div></div>
      <h2>Others also looked at</h2><div class="grid" id="recommended"></div>`, () => {
      milepost('view', fields(item));
      recommend('product', [item.item_id]);
      document.getElementById('add').onclick = () => putCart({...cart(), [id]: (cart()[id] || 0) + 1});
    }];
  },
  cart: () => {
    if (!lines().length) return ['Cart', `<h1>Your cart is empty</h1><a class="button" href="${base}/">Look around</a>`];
    const rows = lines().map((line) => `<tr><td><a href="${base}/item/${line.item_id}">${escaped(line.item_name)}</a></td><td class="number">${line.quantity}</td>
      <td class="number">${euro.format(line.price * line.quantity)}</td><td><button class="plain" data-remove="${line.item_id}" ${about(find(line.item_id))} data-milepost-event="remove_from_cart" data-milepost-quantity="${line.quantity}">remove</button></td></tr>`);
    return ['Cart', `<h1>Your cart</h1><table><thead><tr><th>Article</th><th class="number">Pieces</th><th class="number">Price</th><th></th></tr></thead><tbody>${rows.join('')}</tbody>
      <tfoot><tr><td>Total</td><td></td><td class="number">${euro.format(total())}</td><td></td></tr></tfoot></table>
      <p class="pay"><a class="button" href="${base}/checkout">To checkout</a></p><h2>Goes with it</h2><div class="grid" id="recommended"></div>`, () => {
      recommend('cart');
      main.querySelectorAll('[data-remove]').forEach((button) => { button.onclick = () => {
        const {[button.dataset.remove]: _, ...rest} = cart();
        putCart(rest);
        setTimeout(show); // the beacon sees the click first
      }; });
    }];
  },
  checkout: () => ['Checkout', `<h1>Checkout</h1><form class="checkout" id="order">
      <label>E-mail address<input name="email" type="email" required value="demo@example.com"></label>
      <label>Postcode<input name="postcode" required value="1010"></label>
      <label class="check" data-milepost-event="newsletter"><input type="checkbox" name="news"> Send me the newsletter</label>
      <button>Order for ${euro.format(total())}</button></form>`, () => {
    document.getElementById('order').onsubmit = async (event) => {
      event.preventDefault();
      await order(new FormData(event.target));
      visit(`${base}/thanks`);
    };
  }],
  thanks: () => {
    const bought = JSON.parse(recall('order') || 'null');
    if (!bought) return ['Thank you', '<h1>Nothing was ordered</h1>'];
    return ['Thank you', `<h1>Thank you for your order</h1><p class="lead">Order ${escaped(bought.order_id)}, ${euro.format(bought.total)}.</p>
      <a class="button" href="${base}/">Go on shopping</a>`, () => milepost('purchase', {order_id: bought.order_id, currency: 'EUR', price: bought.total, lines: bought.lines})];
  },
  search: () => {
    const term = new URLSearchParams(location.search).get('q') || '';
    const found = items.filter((item) => (item.name + ' ' + item.category).toLowerCase().includes(term.toLowerCase()));
    return [`Search: ${term}`, `<h1>${found.length} results for “${escaped(term)}”</h1>${grid(found)}`];
  },
};
Object.entries(DEPARTMENTS).forEach(([name, category]) => {
  PAGES[name] = () => [name[0].toUpperCase() + name.slice(1), `<h1>${name[0].toUpperCase() + name.slice(1)}</h1>${grid(items.filter((item) => item.category === category))}`];
});

async function order(form) {
  const id = 'W-' + Date.now().toString(36).toUpperCase() + Math.random().toString(36).slice(2, 6).toUpperCase();
  const customer = 'C-' + form.get('email').split('@')[0];
  const document = {order_id: id, customer_id: customer, currency: 'EUR', shipping: {postcode: form.get('postcode'), country: 'AT'},
    lines: lines().map(({item_id, item_name, category, price, quantity}) => ({item_id, item_name, category, price, quantity}))};
  milepost('identify', customer, {postcode: form.get('postcode')});
  if (orders === 'yes') {
    await fetch('/v1/orders', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(document)}).catch(() => {});
  }
  remember('order', JSON.stringify({order_id: id, total: total(), lines: lines()}));
  putCart({});
}

function show() {
  const [page, id] = location.pathname.slice(base.length + 1).split('/');
  const [title, html, then] = (PAGES[page] || (() => ['Not found', '<h1>There is no such page</h1>']))(id);
  document.title = title;
  main.innerHTML = html;
  document.querySelectorAll('nav a').forEach((link) => {
    if (link.pathname === location.pathname) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  });
  if (then) then();
}
function visit(address) {
  if (!single) { location.href = address; return; }
  history.pushState(null, '', address);
  show();
  scrollTo(0, 0);
}

if (single) {
  addEventListener('popstate', show);
  document.addEventListener('click', (event) => {
    const link = event.target.closest('a[href]');
    if (!link || link.origin !== location.origin || event.defaultPrevented) return;
    event.preventDefault();
    visit(link.getAttribute('href'));
  });
  document.querySelector('.search').onsubmit = (event) => {
    event.preventDefault();
    visit(`${base}/search?q=${encodeURIComponent(event.target.q.value)}`);
  };
}
items = await (await fetch(`${base}/items.json`)).json();
putCart(cart());
show();
document.body.dataset.ready = 'yes';
