MODEL (
  name marts.truck_history,
  kind FULL,
  grain (truck_id, effective_start_date, order_key),
  description 'SCD type 2: what was true of a truck from when until when, as the collector keeps it.',
  column_descriptions (
    truck_id = 'the truck',
    effective_start_date = 'when the version began, UTC',
    effective_end_date = 'when the next version began; null while current',
    is_current = 'no later version is known',
    load_timestamp = 'when the opening sample was first received, UTC',
    gps_latitude = 'latitude, WGS 84, degrees',
    gps_longitude = 'longitude, WGS 84, degrees',
    gps_altitude = 'altitude above mean sea level, m',
    gps_speed = 'speed, km/h',
    vehicle_speed = 'speed, km/h',
    engine_rpm = 'engine speed, rpm',
    fuel_level = 'share of full scale, %',
    engine_temperature = 'temperature, °C',
    oil_pressure = 'gauge pressure, psi',
    battery_voltage = 'voltage, V',
    odometer_reading = 'distance driven in the vehicle''s life, km',
    fuel_consumption = 'fuel rate, L/h',
    brake_status = 'Brake Status',
    tire_pressure_front_left = 'gauge pressure, psi',
    tire_pressure_front_right = 'gauge pressure, psi',
    tire_pressure_rear_left = 'gauge pressure, psi',
    tire_pressure_rear_right = 'gauge pressure, psi',
    transmission_status = 'Transmission Status',
    environment_temperature = 'temperature, °C',
    environment_humidity = 'share of full scale, %',
    environment_pressure = 'atmospheric pressure, hPa',
    order_key = 'the order key of the opening sample'
  ),
  audits (
    unique_combination_of_columns(columns := (truck_id, order_key)),
    no_overlap
  )
);

SELECT
  truck_id, effective_start_date, effective_end_date, is_current, load_timestamp,
  gps_latitude, gps_longitude, gps_altitude, gps_speed, vehicle_speed, engine_rpm, fuel_level, engine_temperature,
  oil_pressure, battery_voltage, odometer_reading, fuel_consumption, brake_status, tire_pressure_front_left,
  tire_pressure_front_right, tire_pressure_rear_left, tire_pressure_rear_right, transmission_status,
  environment_temperature, environment_humidity, environment_pressure, order_key
FROM lake.truck_version
