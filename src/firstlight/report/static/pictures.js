// Filters and components: unpacked from 16-bit numbers, drawn as small pictures, and looked at through the components.

// {peaks, weights} -> one array of `size` weights a picture.
function unpack(packed, size) {
  const text = atob(packed.weights);
  const view = new DataView(new ArrayBuffer(text.length));
  for (let i = 0; i < text.length; i++) view.setUint8(i, text.charCodeAt(i));
  return packed.peaks.map((peak, n) =>
    Float64Array.from({ length: size }, (_, i) => (view.getInt16(2 * (n * size + i), true) / 32767) * (peak ?? NaN)),
  );
}

// One pixel of canvas a weight, scaled by the largest magnitude: grey is zero. Other than three channels: their mean.
function drawPicture(canvas, weights, channels, rows, columns) {
  const plane = rows * columns;
  const averages = () => Float64Array.from({ length: plane }, (_, i) => {
    let total = 0;
    for (let c = 0; c < channels; c++) total += weights[c * plane + i];
    return total / channels;
  });
  const shown = channels === 3 ? weights : averages();
  let peak = 0;
  for (const weight of shown) peak = Math.max(peak, Math.abs(weight));
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) {
      const weight = shown[channels === 3 ? c * plane + i : i];
      image.data[4 * i + c] = Math.round(255 * (0.5 + (0.5 * weight) / (peak > 0 ? peak : 1)));
    }
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

function picture(weights, shape) {
  const canvas = document.createElement("canvas");
  drawPicture(canvas, weights, shape.channels, shape.rows, shape.columns);
  return canvas;
}

// The energy of one filter in each component; of a filter larger than the components, over all windows of their size.
function filterProfile(weights, shape, basis) {
  const squares = basis.pictures.map(() => 0);
  let windows = 0;
  for (let y = 0; y + basis.rows <= shape.rows; y++) {
    for (let x = 0; x + basis.columns <= shape.columns; x++) {
      windows += 1;
      basis.pictures.forEach((component, n) => {
        let response = 0;
        let i = 0;
        for (let c = 0; c < basis.channels; c++)
          for (let row = 0; row < basis.rows; row++)
            for (let column = 0; column < basis.columns; column++)
              response += component[i++] * weights[(c * shape.rows + y + row) * shape.columns + x + column];
        squares[n] += response * response;
      });
    }
  }
  return squares.map((square) => Math.sqrt(square / windows));
}

// A group of pictures as buttons with one stop for the Tab key; arrow keys go from one to the next.
function pictureButtons(holder, pictures, shape, options) {
  const buttons = pictures.map((weights, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.tabIndex = index === 0 ? 0 : -1;
    button.dataset.index = index;
    if (options.role) button.dataset.role = options.role;
    button.setAttribute("aria-label", options.label(index));
    button.onfocus = () => options.onChoose(index);
    button.append(picture(weights, shape));
    return button;
  });
  holder.replaceChildren(...buttons);
  const at = (event) => event.target.closest("button");
  const choose = (button) => button && options.onChoose(Number(button.dataset.index));
  holder.onpointerover = (event) => choose(at(event));
  holder.onclick = (event) => choose(at(event));
  holder.onkeydown = (event) => {
    const moves = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity };
    if (!(event.key in moves) || !at(event)) return;
    event.preventDefault();
    const from = Number(at(event).dataset.index);
    const to = Math.min(buttons.length - 1, Math.max(0, from + moves[event.key]));
    buttons[from].tabIndex = -1;
    buttons[to].tabIndex = 0;
    buttons[to].focus();
  };
}
