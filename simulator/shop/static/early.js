((m) => {
  m.q = m.q || [];
  ['click', 'auxclick', 'submit'].forEach((type) => addEventListener(type, (event) => {
    if (m === window.milepost) m.q.push([event, event.composedPath()]);
  }, true));
})(window.milepost = window.milepost || {});
