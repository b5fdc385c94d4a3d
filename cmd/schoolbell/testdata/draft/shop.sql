-- A shop, which is no LMS, though it has users, reviews with a rating, and classes.

CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL, role text NOT NULL, active boolean NOT NULL);
CREATE TABLE product_classes (id bigint PRIMARY KEY, title text NOT NULL);
CREATE TABLE products (id bigint PRIMARY KEY, class_id bigint REFERENCES product_classes, title text NOT NULL, description text, price numeric(10, 2) NOT NULL, status text NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, submitted_at timestamptz, status text NOT NULL, total numeric(10, 2));
CREATE TABLE order_items (id bigint PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders, product_id bigint NOT NULL REFERENCES products, amount int NOT NULL);
CREATE TABLE reviews (id bigint PRIMARY KEY, product_id bigint NOT NULL REFERENCES products, user_id bigint NOT NULL REFERENCES users, rating smallint, body text, created_at timestamptz, UNIQUE (product_id, user_id));
CREATE TABLE payments (id bigint PRIMARY KEY, order_id bigint REFERENCES orders, score numeric, paid_at timestamptz);
