% Prints what `ssim` of MATLAB's Image Processing Toolbox computes, each channel by itself (SSC) and as a volume (SSS).
%
% Runs in Octave, without packages: octave toolbox_ssim.m x.bin y.bin HEIGHT WIDTH CHANNELS
% The files hold uint8 pixels in Octave's order: numpy.asfortranarray(image).ravel("K").tofile("x.bin").

1;

function image = read(path, shape)
  file = fopen(path);
  image = double(reshape(fread(file), shape));
  fclose(file);
end

function index = repeat_edges(n)
  index = min(max(-4:n + 5, 1), n);
end

function mean_value = ssim(x, y, with_depth)
  taps = exp(-((-5:5) .^ 2) / (2 * 1.5 ^ 2));
  taps = taps / sum(taps);
  if with_depth
    along_depth = reshape(taps, 1, 1, 11);
    depth = repeat_edges(size(x, 3));
  else
    along_depth = 1;
    depth = 1:size(x, 3);
  end
  filter = @(image) convn(convn(convn(image, taps', 'valid'), taps, 'valid'), along_depth, 'valid');
  rows = repeat_edges(size(x, 1));
  columns = repeat_edges(size(x, 2));
  x = x(rows, columns, depth);
  y = y(rows, columns, depth);
  mean_x = filter(x);
  mean_y = filter(y);
  var_x = filter(x .^ 2) - mean_x .^ 2;
  var_y = filter(y .^ 2) - mean_y .^ 2;
  covariance = filter(x .* y) - mean_x .* mean_y;
  c1 = (0.01 * 255) ^ 2;
  c2 = (0.03 * 255) ^ 2;
  map = (2 * mean_x .* mean_y + c1) .* (2 * covariance + c2);
  map = map ./ ((mean_x .^ 2 + mean_y .^ 2 + c1) .* (var_x + var_y + c2));
  mean_value = mean(map(:));
end

given = argv();
shape = cellfun(@str2double, given(3:5))';
x = read(given{1}, shape);
y = read(given{2}, shape);
printf("SSC %.9f\nSSS %.9f\n", ssim(x, y, false), ssim(x, y, true));
